"""The worker containers. Not in the wheel: the name is not ours to put into others' packages."""
