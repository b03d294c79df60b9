"""Run every benchmark, or those that are named."""

import sys

from benchmarks import (
    cache,
    kernel,
    latency,
    ledger,
    measures,
    metrics,
    peer_throughput,
    shards,
    throughput,
    users,
)

BENCHMARKS = {
    "kernel": kernel.run,
    "cache": cache.run,
    "measures": measures.run,
    "ledger": ledger.run,
    "throughput": throughput.run,
    "peers": peer_throughput.run,
    "latency": latency.run,
    "metrics": metrics.run,
    "users": users.run,
    "shards": shards.run,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
