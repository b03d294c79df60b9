"""The cost of metrics: the same system with metrics on and off, in alternation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import inputs
from benchmarks.output import print_rows, write
from risk_tasks.client import RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet

N_CHECKS, N_ROUNDS = 50_000, 30
#: single checks in alternating groups of this number, which are short
N_CALLS, N_TURNS = 50, 40
WAYS = ("on", "off")


@contextmanager
def _client(metrics: str) -> Iterator[RiskClient]:
    plan = FleetPlan(n_workers=2, metrics=metrics)
    with running_fleet(plan) as fleet, RiskClient(fleet.url, timeout_s=30) as risk:
        risk.publish_market(inputs.market(250))
        yield risk


def run() -> None:
    table, (portfolio,) = inputs.table(N_CHECKS, encoded=True), inputs.portfolios(1)
    with ExitStack() as stack:
        clients = {way: stack.enter_context(_client(way)) for way in WAYS}

        def whole(way: str) -> object:
            return clients[way].check_table(table)

        def single(way: str) -> object:
            return clients[way].check(portfolio, priority="critical")

        tables = _in_turns(whole, n_turns=N_ROUNDS, n_calls=1)
        singles = _in_turns(single, n_turns=N_TURNS, n_calls=N_CALLS)
    rows = {f"{N_CHECKS:,} checks, {way}": took_ms for way, took_ms in tables.items()}
    rows |= {f"one check, {way}": took_ms for way, took_ms in singles.items()}
    ratios = {
        f"{what}, on by off": [on / off for on, off in zip(*took.values(), strict=True)]
        for what, took in ((f"time of {N_CHECKS:,} checks", tables), ("time of one check", singles))
    }
    print_rows("ms", rows)
    print_rows("ratio of neighbours", ratios)
    for what, of_turns in ratios.items():
        print(f"{what}: {statistics.median(of_turns) - 1:+.1%} (median of {len(of_turns)} pairs)")
    sizes = {"checks": N_CHECKS, "rounds": N_ROUNDS, "calls": N_CALLS, "turns": N_TURNS}
    write("metrics", sizes, rows | ratios)


def _in_turns(
    call: Callable[[str], object], *, n_turns: int, n_calls: int
) -> dict[str, list[float]]:
    """Return the median of each turn in ms; the order of the two alternates."""
    took_ms: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in WAYS * 2:
        call(way)
    for turn in range(n_turns):
        for way in WAYS if turn % 2 else reversed(WAYS):
            took_ms[way].append(statistics.median(_timed(call, way) for _ in range(n_calls)))
    return took_ms


def _timed(call: Callable[[str], object], way: str) -> float:
    started = time.perf_counter()
    call(way)
    return (time.perf_counter() - started) * 1e3
