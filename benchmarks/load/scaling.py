"""Throughput by number of workers.

For the standard set the process of the user and the server do much of the work; on a shared machine
throughput cannot grow with workers alone, so it is reported and not judged. Costly measures that
are not cached leave nearly all work to the workers.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack

import pyarrow as pa

from benchmarks.load.books import publish, table_request
from benchmarks.load.driving import Request
from benchmarks.load.figures import Scaling
from risk_tasks.client import RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet

COSTLY = (
    "age_weighted_value_at_risk",
    "filtered_value_at_risk",
    "cornish_fisher_value_at_risk",
    "semi_deviation",
    "ewma_volatility",
)


def measure(table: pa.Table, workers: tuple[int, ...], n_rounds: int) -> Scaling:
    """Call fleets of different sizes in turns, so that a slow moment affects all of them."""
    with ExitStack() as stack:
        requests: dict[tuple[str, int], Request] = {}
        for n in workers:
            fleet = stack.enter_context(running_fleet(FleetPlan(n_workers=n)))
            risk = stack.enter_context(RiskClient(fleet.url, timeout_s=60))
            publish(risk)
            requests["standard", n] = table_request(risk, table)
            requests["costly", n] = table_request(risk, table, measures=COSTLY)
        per_s = _in_turns(requests, n_rounds)
    standard, costly = (
        tuple(statistics.median(per_s[what, n]) for n in workers) for what in ("standard", "costly")
    )
    return Scaling(workers, standard, costly)


def _in_turns(
    requests: dict[tuple[str, int], Request], n_rounds: int
) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = {key: [] for key in requests}
    for request in [*requests.values()] * 2:
        request()
    for _ in range(n_rounds):
        for key, request in requests.items():
            started = time.perf_counter()
            n_checks, n_failed = request()
            found[key].append((n_checks - n_failed) / (time.perf_counter() - started))
    return found
