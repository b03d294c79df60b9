"""Run every benchmark, or those that are named."""

import sys

from benchmarks import ledger, measures, throughput

BENCHMARKS = {"measures": measures.run, "ledger": ledger.run, "throughput": throughput.run}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
