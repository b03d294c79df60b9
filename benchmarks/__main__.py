"""Run every benchmark, or those that are named; `--full` is for those that have a full size."""

import sys

from benchmarks import (
    cache,
    kernel,
    latency,
    ledger,
    live,
    measures,
    metrics,
    peer_throughput,
    shards,
    throughput,
    users,
)
from benchmarks.capacity import command as capacity
from benchmarks.http import run as http

BENCHMARKS = {
    "kernel": kernel.run,
    "cache": cache.run,
    "capacity": capacity.run,
    "measures": measures.run,
    "ledger": ledger.run,
    "live": live.run,
    "live-exactness": live.run_exactness,
    "throughput": throughput.run,
    "peers": peer_throughput.run,
    "latency": latency.run,
    "metrics": metrics.run,
    "users": users.run,
    "http": http.run,
    "shards": shards.run,
}

if __name__ == "__main__":
    for name in [word for word in sys.argv[1:] if word != "--full"] or BENCHMARKS:
        BENCHMARKS[name]()
