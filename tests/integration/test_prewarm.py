"""Prewarming by two schedulers and two workers: what is asked for most is there before it is."""

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
from risk_tasks.embedding.fleet import Fleet, FleetPlan, running_fleet
from risk_tasks.embedding.processes import RoleProcess
from risk_tasks.store.prewarm import PopularityStore, PrewarmPolicy, PrewarmRun, PrewarmStore
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


def eventually(holds: Callable[[], bool], within_s: float = 40.0) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, "it did not come to be"
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
            stack.callback(process.wait_stopped)
            stack.callback(process.ask_to_stop)
            processes.append(process)
        yield processes


def test_a_new_panel_is_warm_before_it_is_asked_for(tmp_path):
    """Each run once, by whichever scheduler holds the lock; the other takes over."""
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
            return last if last and last.market_id == snapshot.id and not store.left() else None

        first, second, third = market(1), market(2), market(2, price=10.2)
        risk.publish_market(first)
        risk.check_many(BOOKS, measures=MEASURES)
        eventually(lambda: count("misses") == len(BOOKS))
        eventually(lambda: len(PopularityStore(client).top(100)) == len(BOOKS))
        eventually(lambda: run_of(first) is not None)
        # What is taken last is counted a moment after nothing is left.
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
            assert count("misses") == len(BOOKS), "all of it was there"
            schedulers[0].ask_to_stop()

        shown = only_json(command("prewarm", "--show", "--json", "--broker-url", fleet.url))
        assert shown["last_run"]["reason"] == "marks"
        assert len(shown["requests"]) == 20
        assert all(one["warm_since"] for one in shown["requests"])
        printed = command("prewarm", "--show", "--broker-url", fleet.url)
        assert "monte_carlo_value_at_risk" in printed.stdout


def test_a_slot_is_planned_once(server):
    """Whoever asks second, or with a slot that is over, plans nothing."""
    store = PrewarmStore(server.client)
    assert store.claim(7, 1.0)
    assert not store.claim(7, 1.0)
    assert not store.claim(6, 1.0)
    assert store.claim(8, 1.0)


def test_work_that_nobody_goes_on_with_is_taken_up(server):
    """And nobody begins while another is at it."""
    store = PrewarmStore(server.client)
    assert store.begin_work()
    assert not store.begin_work()
    store.end_work()
    assert store.begin_work()
    store.end_work()


def test_what_is_left_is_taken_in_the_order_of_what_is_wanted(server):
    """Once each."""
    store = PrewarmStore(server.client)
    store.begin(PrewarmRun("panel", 5.0, "m", "p", 3), ["a", "b", "c"])

    assert store.left() == ["a", "b", "c"]
    assert (store.take(2), store.take(2), store.take(2)) == (["a", "b"], ["c"], [])
    assert store.last() == PrewarmRun("panel", 5.0, "m", "p", 3)


def test_the_policy_travels_by_name():
    """As the scheduler sends it."""
    assert PrewarmPolicy(every_s=2.0, n_requests=1).n_requests == 1
