"""The cost of a look-up in the result cache, and its hit ratio on the traffic of a day.

Look-ups: a block of checks in one process; the rounds of all variants alternate. Traffic:
portfolios of a Zipf law through two workers and a scheduler, with prewarming and without, across a
change of panel.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import inputs
from benchmarks.output import print_rows, write
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.embedding.fleet import RoleProcess, running_server
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.roles.result_cache import TieredCache, open_cache
from risk_tasks.service import ResultCache
from risk_tasks.service.result_cache import _Cells
from risk_tasks.service.validation import validate
from risk_tasks.settings import Settings
from risk_tasks.store.roles import CacheCountsStore
from risk_tasks.wire.request import Terms, pack_portfolios

N_CHECKS, N_ROUNDS = 1_000, 15
COSTLY = parse_measures(["monte_carlo_value_at_risk"])
N_BOOKS, N_PER_CALL, PHASE_S = 2_000, 50, 20.0


def run() -> None:
    rows = _look_ups()
    print_rows("microseconds per check", rows)
    ratios = _traffic()
    for label, ratio in ratios.items():
        print(f"hit ratio, {label:<42}{ratio:.3f}")
    sizes = {"checks": N_CHECKS, "rounds": N_ROUNDS, "books": N_BOOKS, "phase_s": int(PHASE_S)}
    write("cache", sizes, rows | {f"hit ratio, {label}": [one] for label, one in ratios.items()})


def _look_ups() -> dict[str, list[float]]:
    market = MarketArrays.of(inputs.market(250))
    books = pack_portfolios(inputs.portfolios(N_CHECKS), Terms(COSTLY, MeasureSettings()))
    block, _ = validate(books, market)
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as (url, _):
        client = connect(url)
        settings = Settings.read(broker_url=url)
        local, cache = _recall(settings)
        remote, _ = _recall(settings.model_copy(update={"cache_local_bytes": 0}))
        keys = _Cells(block, market, COSTLY, MeasureSettings()).keys
        names = [cache.tiers.shared.name(key) for key in keys]
        ways = _ways(block, market, local, remote)
        ways["known in memory"]()
        ways["a bare MGET of the same"] = lambda: client.mget(names)
        rows: dict[str, list[float]] = {label: [] for label in ways}
        for _ in range(N_ROUNDS):
            for label, way in ways.items():
                started = time.perf_counter()
                way()
                rows[label].append((time.perf_counter() - started) / N_CHECKS * 1e6)
    return rows


def _recall(settings: Settings) -> tuple[ResultCache, TieredCache]:
    cache = open_cache(settings)
    return ResultCache(cache.flights, ttl_s=600.0), cache


def _ways(
    block: PortfolioBlock, market: MarketArrays, local: ResultCache, remote: ResultCache
) -> dict[str, Callable[[], object]]:
    standard, terms = parse_measures(None), MeasureSettings()

    def compute_through(results: ResultCache, names: tuple[MeasureName, ...]) -> object:
        return results.compute(block, market, names, terms, until_s=time.monotonic() + 600)

    return {
        "known in memory": lambda: compute_through(local, COSTLY),
        "known on the server": lambda: compute_through(remote, COSTLY),
        "the standard set, cache on": lambda: compute_through(local, standard),
        "the standard set, cache off": lambda: compute(block, market, standard, terms),
    }


def _traffic() -> dict[str, float]:
    """Return hit ratios after the first phase and across a new panel, prewarmed and not."""
    found = {}
    for prewarmed in (True, False):
        with _system(prewarmed) as (risk, counts):
            books = inputs.portfolios(N_BOOKS)
            _check_repeatedly(risk, books, PHASE_S)
            before = counts.sums()
            _check_repeatedly(risk, books, PHASE_S)
            word = "prewarming" if prewarmed else "without prewarming"
            found[f"after the first phase, {word}"] = _ratio(before, _settled(counts))
            before = counts.sums()
            risk.publish_market(_other_panel())
            time.sleep(PHASE_S / 3)
            _check_repeatedly(risk, books, PHASE_S)
            found[f"across a new panel, {word}"] = _ratio(before, _settled(counts))
    return found


@contextmanager
def _system(prewarmed: bool) -> Iterator[tuple[RiskClient, CacheCountsStore]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_fleet(FleetPlan(n_workers=2)) as fleet,
        RiskClient(fleet.url, timeout_s=60) as risk,
    ):
        schedule = Path(folder) / "schedule.toml"
        n_requests = N_BOOKS if prewarmed else 0
        schedule.write_text(f"[prewarm]\nevery_s = 1.0\nn_requests = {n_requests}\n")
        beat = RoleProcess(
            "beat",
            ["-m", "risk_tasks", "scheduler", "--schedule", str(schedule)],
            {"RISK_TASKS_BROKER_URL": fleet.url, "RISK_TASKS_LOG_LEVEL": "warning"},
            Path(folder) / "beat.log",
        )
        beat.start()
        try:
            risk.publish_market(inputs.market(250))
            yield risk, CacheCountsStore(connect(fleet.url))
        finally:
            beat.terminate()
            beat.wait()


def _other_panel() -> MarketSnapshot:
    market = inputs.market(250)
    return MarketSnapshot(
        market.as_of, market.instruments, market.prices, np.roll(market.returns, 1, axis=0)
    )


def _check_repeatedly(risk: RiskClient, books: list[Portfolio], for_s: float) -> None:
    """Check books of a Zipf law (exponent 1.1), fifty per call."""
    dice = np.random.default_rng(9)
    weight = np.arange(1, len(books) + 1) ** -1.1
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        chosen = dice.choice(len(books), N_PER_CALL, p=weight / weight.sum())
        risk.check_many([books[one] for one in chosen], measures=[str(one) for one in COSTLY])


def _settled(counts: CacheCountsStore) -> dict[str, float]:
    time.sleep(2.5)
    return counts.sums()


def _ratio(before: dict[str, float], after: dict[str, float]) -> float:
    hits, misses = (
        after.get(f"{COSTLY[0]}:{what}", 0.0) - before.get(f"{COSTLY[0]}:{what}", 0.0)
        for what in ("hits", "misses")
    )
    return hits / (hits + misses)
