"""Run every benchmark, or the named ones; `--full` applies to those that have a full size."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks import (
    cache,
    coalescing,
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
from risk_tasks.cli.console import progress

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
    "coalescing": coalescing.run,
    "http": http.run,
    "shards": shards.run,
}


def main(words: Sequence[str]) -> None:
    """Run the benchmarks named in `words`; a line of progress names the running one."""
    names = _names(words)
    for number, name in enumerate(names, 1):
        with progress(f"Measuring {name}, {number} of {len(names)} ...", still=True):
            BENCHMARKS[name]()


def _names(words: Sequence[str]) -> list[str]:
    """Return the named benchmarks, or all; end the program with code 2 if a name is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--full", action="store_true", help="the full size, where there is one")
    names = parser.parse_intermixed_args(words).names or list(BENCHMARKS)
    unknown = next((name for name in names if name not in BENCHMARKS), None)
    if unknown is not None:
        parser.error(f"Unknown benchmark '{unknown}': expected {', '.join(BENCHMARKS)}.")
    return names


if __name__ == "__main__":
    main(sys.argv[1:])
