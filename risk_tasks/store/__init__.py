"""Data on the server, except the blocks of the broker."""
