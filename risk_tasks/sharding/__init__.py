"""Which shard a portfolio is in, and which worker leases a shard. No input, no output, no clock."""
