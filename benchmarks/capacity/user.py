"""One user in a process of its own, which checks the same table repeatedly.

`python -m benchmarks.capacity.user URL LOAD CHECKS SECONDS` waits for a line of input before it
begins, and prints its results as JSON.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks import inputs
from benchmarks.capacity.loads import LOADS
from benchmarks.load.books import table_request
from risk_tasks.client import RiskClient

_WARM_CALLS = 5


def main(url: str, load: str, n_checks: str, lasting_s: str) -> None:
    (measures,) = (one.measures for one in LOADS if one.name == load)
    table = inputs.table(int(n_checks), encoded=True)
    with RiskClient(url, timeout_s=60) as risk:
        request = table_request(risk, table, measures=measures)
        for _ in range(_WARM_CALLS):
            request()
        print("ready", flush=True)
        sys.stdin.readline()
        began_s, cpu_s = time.perf_counter(), time.process_time()
        took_s: list[float] = []
        while (started_s := time.perf_counter()) - began_s < float(lasting_s):
            n, n_failed = request()
            if n_failed:
                sys.exit(f"{n_failed} of {n} checks failed.")
            took_s.append(time.perf_counter() - started_s)
        done = {
            "took_s": took_s,
            "cpu_s": time.process_time() - cpu_s,
            "lasted_s": time.perf_counter() - began_s,
        }
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
