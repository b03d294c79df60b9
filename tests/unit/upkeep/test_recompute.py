"""When live portfolios are taken, in which blocks, and how fast they are refreshed."""

from __future__ import annotations

import pytest

from risk_tasks.errors import QueueFullError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import Lane
from risk_tasks.store.recompute import Attempt, Taken
from risk_tasks.upkeep import recompute
from risk_tasks.upkeep.recompute import LiveCollector, LivePolicy, blocks_of
from risk_tasks.wire.request import AttemptMark, decode_request


def attempt(name: str, n_failed: int = 0, n_positions: int = 1, number: int = 7) -> Attempt:
    held = {f"I{index}": 1.0 for index in range(n_positions)}
    return Attempt(Portfolio(name, held, version=3), number, n_failed)


class Server:
    """Replaces the store, the broker and the clock."""

    def __init__(self, *taken: Taken) -> None:
        self.now_s = 100.0
        self.left = list(taken)
        self.takes: list[dict[str, int]] = []
        self.sent: list[tuple[bytes, dict]] = []
        self.waited: list[float] = []
        self.is_full = False

    def wait_for_dirty(self, timeout_s: float) -> bool:
        self.waited.append(timeout_s)
        return True

    def take(self, **takes: int) -> Taken:
        self.takes.append(takes)
        return self.left.pop(0)

    def enqueue(self, block_id: str, payload: bytes, **terms: object) -> None:
        if self.is_full:
            raise QueueFullError(depth=1, capacity=1, retry_after_s=1.0)
        self.sent.append((payload, terms))

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.waited.append(seconds)

    def collector(self, **policy: float) -> LiveCollector:
        return LiveCollector(
            self, self, LivePolicy(**policy), clock=lambda: self.now_s, sleep=self.sleep
        )


NOTHING = Taken("nothing", [], None)


def names(blocks) -> list[list[str]]:
    return [[one.portfolio.id for one in block] for block in blocks]


def test_a_portfolio_with_a_failed_attempt_is_a_block_of_its_own():
    attempts = [attempt("a"), attempt("b", n_failed=1), attempt("c"), attempt("d", n_failed=2)]

    assert sorted(names(blocks_of(attempts))) == [["a", "c"], ["b"], ["d"]]


def test_the_positions_of_a_block_are_bounded_unless_one_portfolio_has_more(monkeypatch):
    monkeypatch.setattr(recompute, "_MAX_POSITIONS", 10)
    attempts = [
        attempt("a", n_positions=11),
        attempt("b", n_positions=5),
        attempt("c", n_positions=5),
    ]
    attempts += [attempt("d", n_positions=1)]

    assert names(blocks_of(attempts)) == [["a"], ["b", "c"], ["d"]]
    assert names(blocks_of([])) == []


def test_a_block_has_its_attempts_and_its_answer_is_not_kept():
    server = Server(Taken("changed", [attempt("a"), attempt("b", number=9)], None))

    server.collector(visibility_timeout_s=15.0).step()

    ((payload, terms),) = server.sent
    request = decode_request(payload)
    assert request.portfolio_ids.to_pylist() == ["a", "b"]
    assert request.attempts == [AttemptMark(3, 7), AttemptMark(3, 9)]
    assert (terms["lane"], terms["n_checks"], terms["keeps_answer"]) == (Lane.BATCH, 2, False)
    assert (terms["stamp"].market, terms["stamp"].limits) == ("default", "default")
    assert terms["timeout_s"] == pytest.approx(10.0)


def test_portfolios_of_a_critical_event_go_to_the_critical_lane():
    server = Server(Taken("critical", [attempt("a"), attempt("b", n_failed=1)], None))

    server.collector().step()

    assert [terms["lane"] for _, terms in server.sent] == [Lane.CRITICAL, Lane.CRITICAL]


def test_the_collector_waits_for_a_change_only_if_nothing_was_due():
    server = Server(NOTHING, NOTHING, Taken("changed", [attempt("a")], None), NOTHING, NOTHING)
    collector = server.collector()

    waits = []
    for _ in range(5):
        server.waited.clear()
        collector.step()
        waits.append(list(server.waited))

    assert waits == [[1.0], [1.0], [1.0], [], [1.0]]


def test_the_collector_looks_again_when_something_is_due_soon():
    server = Server(Taken("nothing", [], 5), Taken("nothing", [], 80), NOTHING)
    collector = server.collector()

    for _ in range(3):
        collector.step()

    assert server.waited == [1.0, pytest.approx(0.005), pytest.approx(0.02)]


def test_outdated_portfolios_are_refreshed_at_a_bounded_rate():
    outdated = Taken("outdated", [attempt(f"p{n}") for n in range(50)], 20)
    server = Server(outdated, Taken("nothing", [], 20), outdated, outdated)
    collector = server.collector(refresh_per_s=5_000.0, batch_size=50)

    for _ in range(3):
        collector.step()

    assert [takes["max_refreshed"] for takes in server.takes] == [200, 0, 200]
    assert server.waited == [1.0, pytest.approx(0.01)]


def test_a_full_lane_is_not_an_error():
    """The portfolios stay in progress, and are retried later."""
    server = Server(Taken("changed", [attempt("a"), attempt("b", n_failed=1)], None))
    server.is_full = True

    server.collector().step()

    assert server.sent == []
