"""Everything that is stored on the server besides the blocks of the broker."""
