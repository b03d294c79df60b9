"""Run every benchmark, or those that are named."""

import sys

from benchmarks import ledger, measures

BENCHMARKS = {"measures": measures.run, "ledger": ledger.run}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
