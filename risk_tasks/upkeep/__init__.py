"""Periodic work on the server: the ledger, live portfolios, delivery of changes of state."""
