"""What a check is made of. Pure values: no input, no output, no clock."""
