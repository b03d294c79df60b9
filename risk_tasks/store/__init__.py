"""What is published: markets and limit sets, by name and by content."""
