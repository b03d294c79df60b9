"""Monitoring: workers record what they do, the server merges it, status and Prometheus show it."""
