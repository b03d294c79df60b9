"""Live portfolios through real workers and a real scheduler."""

from __future__ import annotations

import json
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from celery import Celery

from risk_tasks import Limit, LimitSet, Portfolio, RiskClient
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.connection import connect
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from risk_tasks.model.live import LimitChange, LiveReport
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.queues import LANE_CAPACITY, Lane
from risk_tasks.store.breaches import BEGINNING, BreachStream, ListenerStore
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.published import LimitStore
from risk_tasks.store.recompute import RecomputeStore
from risk_tasks.upkeep.recompute import LivePolicy, LiveRetry
from tests.integration.support import Server, unique, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TIMEOUT_S = 30
LIMITS = LimitSet("desk", [Limit("gross_exposure", warn=5e5, hard=1e6, id="gross")])


@dataclass
class Live:
    """A running system and the stores of its server."""

    fleet: Fleet
    portfolios: PortfolioStore
    recomputing: RecomputeStore
    stream: BreachStream
    listeners: ListenerStore

    def at_rest(self) -> bool:
        counts = self.recomputing.counts()
        return not (counts.dirty or counts.outdated or counts.in_progress)

    def settle(self, timeout_s: float = TIMEOUT_S) -> None:
        wait_until(self.at_rest, timeout_s, "everything to be computed")

    def lane(self, lane: str = "batch") -> list[int]:
        """Return the checks and the bytes that a lane holds."""
        held = self.recomputing._client.hmget(f"risk:lane:{lane}", "checks", "bytes")
        return [int(one or 0) for one in held]

    def changes(self, *portfolio_ids: str) -> list[LimitChange]:
        found_changes = self.stream.read(BEGINNING, limit=100_000)
        return [one for one in found_changes if one.portfolio_id in portfolio_ids]


def live_on(fleet: Fleet, market: MarketSnapshot) -> Live:
    with RiskClient(fleet.url) as risk:
        risk.publish_market(market)
        risk.publish_limits(LIMITS)
    client = connect(fleet.url, socket_timeout_s=10)
    return Live(
        fleet,
        PortfolioStore(client),
        RecomputeStore(client),
        BreachStream(client),
        ListenerStore(client),
    )


@pytest.fixture(scope="module")
def live(market: MarketSnapshot) -> Iterator[Live]:
    # Changes of one test fall into one window, even on a busy machine.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISK_TASKS_LIVE_WINDOW_MS", "400")
        with running_fleet(FleetPlan(n_workers=1, scheduler=True)) as fleet:
            yield live_on(fleet, market)


@pytest.fixture(scope="module")
def app(live: Live) -> Iterator[Celery]:
    """The Celery app of another service."""
    app = Celery(broker=live.fleet.url, backend=live.fleet.url, set_as_current=False)
    yield app
    app.backend.result_consumer.stop()
    app.backend.client.close()
    app.backend.client.connection_pool.disconnect()
    app.close()


def test_a_change_that_breaks_a_limit_reaches_the_stream(live):
    name = unique("fund")
    live.portfolios.set(Portfolio(name, {"AAPL": 1.0}))
    live.settle()
    assert live.changes(name) == []

    live.portfolios.change(name, {"AAPL": 1e5})
    (change,) = wait_until(lambda: live.changes(name), TIMEOUT_S)

    standing = change.standing
    assert (change.version, change.before, standing.state) == (2, "ok", "hard")
    assert (standing.limit, standing.unit, standing.threshold) == ("gross", "ccy", 1e6)
    report = live.portfolios.report(name).report
    assert report.portfolio_id == name
    assert report.measures["gross_exposure"].value == standing.observed > 1e6
    assert report.breaches[0].contributors[0].instrument == "AAPL"


def test_no_answer_of_a_live_check_is_stored(live):
    live.portfolios.set(Portfolio(unique("fund"), {"AAPL": 1e5}))
    live.settle()

    with connect(live.fleet.url) as client:
        kinds = ("risk:result:*", "risk:answer:*", "risk:reply:*", "risk:block:*")
        assert [key for kind in kinds for key in client.scan_iter(match=kind)] == []


def test_ten_changes_are_one_computation(live):
    names = [unique("fund") for _ in range(3)]
    for name in names:
        live.portfolios.set(Portfolio(name, {"AAPL": 1.0}))
    live.settle()
    before = live.recomputing.counts().recorded

    for _ in range(10):
        for name in names:
            live.portfolios.change(name, {"AAPL": 1.0})
    live.settle()

    assert live.recomputing.counts().recorded == before + 3
    assert {live.portfolios.report(name).version for name in names} == {11}


def test_an_unknown_instrument_concerns_one_portfolio_and_can_be_corrected(live):
    bad, good = unique("bad"), unique("good")
    live.portfolios.set(Portfolio(bad, {"AAPL": 1.0, "NO SUCH": 1.0}))
    live.portfolios.set(Portfolio(good, {"AAPL": 1e5}))
    live.settle()
    live.portfolios.change(bad, {"NO SUCH": -1.0})
    live.settle()

    found_changes = [(c.before, c.standing.state, c.standing.reason) for c in live.changes(bad)]
    assert found_changes == [
        ("ok", "not_evaluated", "unknown_instrument"),
        ("not_evaluated", "ok", None),
    ]
    assert [one.standing.state for one in live.changes(good)] == ["hard"]
    assert live.portfolios.report(bad).report.status == "ok"


def test_a_service_with_celery_only_sets_and_changes_positions(live, app):
    """Versions as JSON; a task that is delivered twice changes nothing the second time."""
    name, document = unique("fund"), {"positions": {"AAPL": 1.0}, "cash": 5.0}

    def ask(task: str, task_id: str | None = None, **kwargs: Any) -> dict[str, Any]:
        sent = app.send_task(f"risk.{task}", kwargs=kwargs, task_id=task_id, queue="risk.batch")
        answer = sent.get(timeout=TIMEOUT_S)
        sent.forget()
        return answer

    held = {"status": "ok", "portfolio_id": name}
    once = unique("task")
    assert ask("portfolio_update", portfolio={"id": name, **document}) == {**held, "version": 1}
    for _ in range(2):
        changed = ask("position_change", once, portfolio_id=name, deltas={"AAPL": 2})
        assert changed == {**held, "version": 2}
    assert live.portfolios.get(name) == Portfolio(name, {"AAPL": 3.0}, cash=5.0)

    unfit = [
        ("position_change", {"portfolio_id": "none", "deltas": {"A": 1}}, "portfolio_id"),
        ("position_change", {"portfolio_id": name, "deltas": {"A": "x"}}, "deltas['A']"),
        ("position_change", {"portfolio_id": name, "deltas": {}}, "deltas"),
        ("position_change", {"portfolio_id": name, "delta": {}}, "delta"),
        ("portfolio_update", {"portfolio": {"id": name, "positions": 3}}, "portfolio.positions"),
    ]
    for task, kwargs, field in unfit:
        refused = ask(task, **kwargs)
        assert (refused["status"], refused["field"]) == ("error", field), refused
        assert refused["code"]
        assert refused["remedy"]

    assert ask("portfolio_update", portfolio=None, portfolio_id=name) == {**held, "version": 2}
    assert name not in live.portfolios.ids()


def test_a_critical_event_from_celery_is_answered_and_its_reason_reaches_listeners(live, app):
    name, queue, event_id = unique("fund"), unique("desk"), unique("event")
    live.portfolios.set(Portfolio(name, {"AAPL": 1.0}))
    live.settle()
    live.portfolios.change(name, {"AAPL": 1e5})
    live.settle()
    live.listeners.add(queue, live.stream.last())
    live.portfolios.change(name, {"AAPL": -1e5})
    kwargs = {"event": "exchange halt", "portfolio_ids": [name, "nobody"], "event_id": event_id}
    answers = []
    for _ in range(2):
        sent = app.send_task("risk.critical_event", kwargs=kwargs, queue="risk.critical")
        answers.append(sent.get(timeout=TIMEOUT_S))
        sent.forget()

    assert answers == [{"status": "ok", "n_portfolios": 1, "unknown_ids": ["nobody"]}] * 2
    live.settle()
    latest = live.portfolios.report(name)
    assert (latest.version, latest.reason) == (3, "exchange halt")
    assert [one.reason for one in live.changes(name)] == [None, "exchange halt"]
    with connect(live.fleet.url) as client:
        (message,) = wait_until(lambda: client.lrange(queue, 0, -1), TIMEOUT_S)
        live.listeners.remove(queue)
        client.delete(queue)
    _, change, _ = json.loads(json.loads(message)["body"])
    assert (change["portfolio_id"], change["reason"]) == (name, "exchange halt")


def test_a_critical_event_is_answered_before_a_full_batch_lane(live):
    name, others = unique("fund"), [Portfolio(f"x{n}", {"AAPL": 1.0}) for n in range(1_000)]
    live.portfolios.set(Portfolio(name, {"AAPL": 1e5}))
    live.settle()
    (worker,) = (one for one in live.fleet.processes if one.name.startswith("worker"))
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        with RiskClient(live.fleet.url) as risk:
            for _ in range(60):
                risk.submit(others, priority="batch", timeout_s=120)
            live.portfolios.critical_event("flash crash", [name])
            wait_until(lambda: live.lane("critical")[0] == 1, TIMEOUT_S, "the critical block")
            assert live.lane() == [60_000, *live.lane()[1:]]
    finally:
        os.kill(worker.pid, signal.SIGCONT)

    latest = wait_until(lambda: of_event(live.portfolios.report(name)), TIMEOUT_S)
    n_waiting, _ = live.lane()
    wait_until(lambda: live.lane()[0] == 0, 120, "an empty lane")

    assert (latest.reason, latest.report.decision) == ("flash crash", "reject")
    assert n_waiting > 30_000


def of_event(latest: LiveReport) -> LiveReport | None:
    return latest if latest.reason else None


def test_a_listening_queue_receives_each_change_once(live):
    queue, names = unique("desk"), [unique("fund") for _ in range(3)]
    live.listeners.add(queue, live.stream.last())
    for quantity in (1e5, -1e5, 1e5):
        for name in names:
            live.portfolios.set(Portfolio(name, {"AAPL": max(quantity, 1.0)}))
        live.settle()
    live.portfolios.remove(names[0])
    found_changes = live.changes(*names)
    assert len(found_changes) == 10

    with connect(live.fleet.url) as client:
        wait_until(lambda: client.llen(queue) == len(found_changes), TIMEOUT_S, "messages")
        wait_until(lambda: live.listeners.all()[queue] == live.stream.last(), TIMEOUT_S)
        messages = [json.loads(raw) for raw in reversed(client.lrange(queue, 0, -1))]
        live.listeners.remove(queue)
        client.delete(queue)
    assert [one["headers"]["id"] for one in messages] == [one.event_id for one in found_changes]
    assert {one["headers"]["task"] for one in messages} == {"risk.limit_breach"}
    _, kwargs, _ = json.loads(messages[0]["body"])
    assert kwargs["portfolio_id"] == found_changes[0].portfolio_id
    assert (kwargs["before"], kwargs["standing"]["state"]) == ("ok", "hard")


def test_a_new_market_recomputes_all_portfolios(live, market):
    names = [unique("fund") for _ in range(120)]
    for name in names:
        live.portfolios.set(Portfolio(name, {"AAPL": 1.0}))
    live.settle()
    dearer = replace(market, prices=market.prices * 1e5)

    with RiskClient(live.fleet.url) as risk:
        risk.publish_market(dearer)
    try:
        live.settle()
        assert [one.standing.state for one in live.changes(*names)] == ["hard"] * len(names)
        reports = [live.portfolios.report(name).report for name in names]
        assert {report.market_id for report in reports} == {dearer.id}
    finally:
        with RiskClient(live.fleet.url) as risk:
            risk.publish_market(market)


def test_a_portfolio_that_fails_too_often_has_a_dead_letter_that_can_be_replayed(server: Server):
    with connect(server.url) as client:
        store, portfolios = RecomputeStore(client), PortfolioStore(client)
        LimitStore(client).publish(LIMITS, "default")
        letters, policy = DeadLetters(client), LivePolicy(visibility_timeout_s=-1.0, max_attempts=1)
        retry = LiveRetry(store, LimitStore(client), letters, policy)
        portfolios.set(Portfolio("p", {"AAPL": 1.0}))
        for _ in range(2):
            (attempt,) = store.take(limit=1, wait_ms=0, max_in_progress=9).attempts
            store.start([("p", attempt.number)])
            assert retry.step() == 1

            (letter,) = letters.letters()
            assert (letter.portfolio_id, letter.is_replayable) == ("p", True)
            letters.replay(letter.id, timeout_s=1)
            assert letters.letters() == []
            assert store.counts().dirty == 1

        (change,) = BreachStream(client).read(BEGINNING)
        assert (change.standing.state, change.standing.reason) == ("not_evaluated", "dead_letter")
        report = PortfolioStore(client).report("p").report
        assert (report.status, report.code) == ("error", "dead_letter")


def test_killed_workers_neither_lose_nor_repeat_a_change_of_state(market):
    """Three kills, while changes arrive, some of them twice."""
    random, n, n_changes = Random(7), 400, 2_000
    with running_fleet(FleetPlan(n_workers=2, scheduler=True)) as fleet:
        live = live_on(fleet, market)
        names = [f"fund-{number}" for number in range(n)]
        for name in names:
            live.portfolios.set(Portfolio(name, {"AAPL": 0.1}))
        sums = dict.fromkeys(names, 0.1)
        for number in range(n_changes):
            name, delta = random.choice(names), random.choice([1e4, -1e4, 0.1, -0.3])
            for _ in range(1 + (number % 7 == 0)):
                live.portfolios.change(name, {"AAPL": delta}, f"event-{number}")
            sums[name] += delta
            if number % (n_changes // 3) == 100:
                victim = next(p for p in fleet.processes if p.name.startswith("worker"))
                os.kill(victim.pid, signal.SIGKILL)
                wait_until(lambda one=victim: not one.is_alive, 5)
                fleet.revive()
        live.settle(120)

        held = {name: dict(live.portfolios.get(name).positions) for name in names}
        found_changes = live.stream.read(BEGINNING, limit=100_000)
        finals = {name: live.portfolios.report(name).report for name in names}
        # Blocks of a dead worker may be recorded by others before the reaper removes them.
        wait_until(lambda: live.lane() == [0, 0], 30, "an empty lane")
    assert held == {name: {"AAPL": total} if total else {} for name, total in sums.items()}
    assert len({one.event_id for one in found_changes}) == len(found_changes)
    last, versions = defaultdict(lambda: "ok"), defaultdict(int)
    for one in found_changes:
        assert one.before == last[one.portfolio_id] != one.standing.state
        assert one.version > versions[one.portfolio_id]
        last[one.portfolio_id], versions[one.portfolio_id] = one.standing.state, one.version
    for name, report in finals.items():
        gross = abs(sums[name]) * market.prices[market.index["AAPL"]]
        assert last[name] == ("hard" if gross > 1e6 else "warn" if gross > 5e5 else "ok")
        assert report.measures["gross_exposure"].value == pytest.approx(gross)
    assert len(found_changes) < LANE_CAPACITY[Lane.BATCH].checks
