"""The life of a block on the server: enqueued, started, finished, replied; the Lua beside it."""
