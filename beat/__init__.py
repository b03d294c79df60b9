"""The scheduler container. Not in the wheel: the name is not ours to put into others' packages."""
