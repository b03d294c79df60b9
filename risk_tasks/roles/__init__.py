"""The processes that serve: each puts its parts together, starts, is ready, drains and stops."""
