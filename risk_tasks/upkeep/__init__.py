"""What keeps the server clean while others work."""
