"""Prewarming with two schedulers and two workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from risk_tasks import MarketSnapshot, Portfolio, RiskClient
from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import Fleet, FleetPlan, RoleProcess, running_fleet
from risk_tasks.store.prewarm import PopularityStore, PrewarmRun, PrewarmStore
from risk_tasks.store.roles import CacheCountsStore
from tests.integration.support import command, only_json

pytestmark = pytest.mark.integration

SCHEDULE = "[sweep]\nevery_s = 60.0\n[prewarm]\nevery_s = 1.0\nn_requests = 100\n"
MEASURES = ["monte_carlo_value_at_risk", "monte_carlo_expected_shortfall"]
BOOKS = [Portfolio(f"p{n}", {"I0": 10.0 + n, "I1": -4.0, "I2": float(n)}) for n in range(30)]


def market(seed: int, *, price: float = 10.0) -> MarketSnapshot:
    returns = np.random.default_rng(seed).normal(0, 0.02, (100, 3))
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    return MarketSnapshot(moment, ["I0", "I1", "I2"], [price, 20.0, 30.0], returns)


def eventually(holds: Callable[[], bool], timeout_s: float = 40.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until_s, "the condition did not become true"
        time.sleep(0.05)


@contextmanager
def two_schedulers(fleet: Fleet, folder: Path) -> Iterator[list[RoleProcess]]:
    schedule = folder / "schedule.toml"
    schedule.write_text(SCHEDULE)
    arguments = ["-m", "risk_tasks", "scheduler", "--schedule", str(schedule)]
    environment = {"RISK_TASKS_BROKER_URL": fleet.url, "RISK_TASKS_LOG_LEVEL": "warning"}
    with ExitStack() as stack:
        processes = []
        for name in ("beat-1", "beat-2"):
            process = RoleProcess(name, arguments, environment, folder / f"{name}.log")
            process.start()
            stack.callback(process.wait)
            stack.callback(process.terminate)
            processes.append(process)
        yield processes


def test_popular_requests_are_computed_on_a_new_panel_before_a_check(tmp_path):
    """Each run happens once, from the scheduler with the lock; the other one takes over."""
    with (
        running_fleet(FleetPlan(n_workers=2)) as fleet,
        RiskClient(fleet.url, timeout_s=30.0) as risk,
        connect(fleet.url) as client,
        two_schedulers(fleet, tmp_path) as schedulers,
    ):
        store, counts = PrewarmStore(client), CacheCountsStore(client)

        def count(what: str) -> float:
            return counts.sums().get(f"monte_carlo_value_at_risk:{what}", 0.0)

        def run_of(snapshot: MarketSnapshot) -> PrewarmRun | None:
            last = store.last()
            return (
                last if last and last.market_id == snapshot.id and not store.remaining() else None
            )

        first, second, third = market(1), market(2), market(2, price=10.2)
        risk.publish_market(first)
        risk.check_many(BOOKS, measures=MEASURES)
        eventually(lambda: count("misses") == len(BOOKS))
        eventually(lambda: len(PopularityStore(client).top(100)) == len(BOOKS))
        eventually(lambda: run_of(first) is not None)
        # The last requests are counted a moment after they were taken.
        eventually(lambda: store.totals()[1] == run_of(first).n_requests)

        n_hits = 0
        for snapshot, reason in ((second, "panel"), (third, "marks")):
            before = store.totals()
            risk.publish_market(snapshot)
            eventually(lambda snapshot=snapshot: run_of(snapshot) is not None)
            run = run_of(snapshot)
            eventually(lambda b=before: store.totals()[1] == b[1] + len(BOOKS))
            assert (run.reason, run.n_requests) == (reason, len(BOOKS))
            assert store.totals()[0] == before[0] + 1, "once, though two schedulers run"

            reports = risk.check_many(BOOKS, measures=MEASURES)

            assert {report.market_id for report in reports} == {snapshot.id}
            n_hits += len(BOOKS)
            eventually(lambda n=n_hits: count("hits") == n)
            assert count("misses") == len(BOOKS), "all results were prewarmed"
            schedulers[0].terminate()

        shown = only_json(command("prewarm", "--json", "--broker-url", fleet.url))
        assert shown["last_run"]["reason"] == "marks"
        assert len(shown["requests"]) == 20
        assert all(one["warm_since"] for one in shown["requests"])
        assert all(one["requests"] > 0 for one in shown["requests"])
        printed = command("prewarm", "--broker-url", fleet.url)
        assert "monte_carlo_value_at_risk" in printed.stdout


def test_a_slot_is_claimed_once(server):
    """A second claim fails, and so does the claim of an earlier slot."""
    store = PrewarmStore(server.client)
    assert store.claim_slot(7, 1.0)
    assert not store.claim_slot(7, 1.0)
    assert not store.claim_slot(6, 1.0)
    assert store.claim_slot(8, 1.0)


def test_one_worker_at_a_time_has_the_lock(server):
    store = PrewarmStore(server.client)
    assert store.lock()
    assert not store.lock()
    store.unlock()
    assert store.lock()
    store.unlock()


def test_requests_are_taken_in_order_of_popularity(server):
    """Each of them once."""
    store = PrewarmStore(server.client)
    store.start(PrewarmRun("panel", 5.0, "m", "p", 3), ["a", "b", "c"])

    assert store.remaining() == ["a", "b", "c"]
    assert (store.take(2), store.take(2), store.take(2)) == (["a", "b"], ["c"], [])
    assert store.last() == PrewarmRun("panel", 5.0, "m", "p", 3)
