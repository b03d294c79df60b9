"""The gateway beside a FastAPI route that does nothing, and beside `check_table`."""
