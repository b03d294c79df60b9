"""Tables of ten threads through one client, with and without shared messages, in alternation."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from benchmarks import inputs
from benchmarks.load.books import shares
from benchmarks.output import print_percentiles, write
from risk_tasks.client import RiskClient
from risk_tasks.client.answers import Decode, Result
from risk_tasks.client.coalescing import ThreadCoalescer
from risk_tasks.client.options import CallOptions
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.wire.request import RequestBlock

OUTSTANDING, N_THREADS, N_ROUNDS = (500, 1_000, 5_000), 10, 40

_request = ThreadCoalescer.request


def _request_alone(
    self: ThreadCoalescer,
    prepare: Callable[[], tuple[RequestBlock, pa.StringArray | None]],
    options: CallOptions,
    decode: Decode[Result],
    n_positions: int,
) -> Result:
    return self.connection.request(*prepare(), options, decode)


def _latencies(client: RiskClient, tables: list[pa.Table]) -> list[float]:
    """Return the milliseconds of one call in each thread, all of which start together."""
    start = threading.Barrier(len(tables))

    def check(table: pa.Table) -> float:
        start.wait()
        started = time.perf_counter()
        client.check_table(table)
        return (time.perf_counter() - started) * 1e3

    with ThreadPoolExecutor(len(tables)) as pool:
        return list(pool.map(check, tables))


def run() -> None:
    positions = inputs.table(max(OUTSTANDING), encoded=True)
    ways = {"shared": _request, "alone": _request_alone}
    found: dict[str, list[float]] = {}
    gains: dict[str, list[float]] = {}
    with (
        running_fleet(FleetPlan(n_workers=2, scheduler=True)) as fleet,
        RiskClient(fleet.url, timeout_s=300) as client,
    ):
        client.publish_market(inputs.market(250))
        for n in OUTSTANDING:
            tables = shares(positions, n, N_THREADS)
            _latencies(client, tables)
            for number in range(N_ROUNDS):
                p95 = {}
                for way in sorted(ways, reverse=number % 2 == 0):
                    ThreadCoalescer.request = ways[way]  # type: ignore[method-assign]
                    took = _latencies(client, tables)
                    found.setdefault(f"{n:,} checks, {way}", []).extend(took)
                    p95[way] = float(np.percentile(took, 95))
                gains.setdefault(f"{n:,}", []).append(1 - p95["shared"] / p95["alone"])
    ThreadCoalescer.request = _request  # type: ignore[method-assign]
    print_percentiles(f"ms of one call, {N_THREADS} threads", found)
    for n, gain in gains.items():
        print(f"{n} checks outstanding: sharing takes {statistics.median(gain):+.1%} off the p95")
    write("coalescing", {"rounds": N_ROUNDS}, {f"gain at {n}": one for n, one in gains.items()})
