"""The gateway compared with a FastAPI no-op route, and with `check_table`."""
