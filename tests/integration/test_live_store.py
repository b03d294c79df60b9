"""The stores of live portfolios on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import msgspec
import pytest

from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.errors import ChangesTrimmedError, InvalidPortfolioError, UnknownPortfolioError
from risk_tasks.keys import BREACHES_KEY
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.live import LimitStanding, LimitState
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Decision, ReportError, ReportStatus, RiskReport
from risk_tasks.store.breaches import BEGINNING, BreachStream, ListenerStore
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.recompute import Attempt, AttemptResult, RecomputeStore
from risk_tasks.wire.documents import report_document

LIMITS = LimitSet("desk", [Limit("gross_exposure", hard=1e6)])
REPORT = msgspec.json.encode(
    report_document(
        RiskReport(
            portfolio_id="p",
            market_id=None,
            limits_version=None,
            as_of=None,
            status=ReportStatus.ERROR,
            decision=Decision.REJECT,
            error=ReportError(code="no_market", message="No market."),
        )
    )
)


@dataclass
class Live:
    portfolios: PortfolioStore
    recomputing: RecomputeStore
    stream: BreachStream
    listeners: ListenerStore

    def take(
        self, limit: int = 50, wait_ms: int = 0, max_in_progress: int = 1_000
    ) -> list[Attempt]:
        return list(
            self.recomputing.take(
                limit=limit, wait_ms=wait_ms, max_in_progress=max_in_progress
            ).attempts
        )

    def record(self, attempt: Attempt, **states: LimitState) -> int | None:
        standings = [
            LimitStanding(limit=limit, measure="gross_exposure", state=state, observed=0.1)
            for limit, state in states.items()
        ]
        of = (attempt.portfolio.id, attempt.version, attempt.number)
        return self.recomputing.record_all([AttemptResult(*of, REPORT, standings)], b"wake")[0]

    def changes(self) -> list[tuple[str, int, str, str, str]]:
        return [
            (one.portfolio_id, one.version, one.standing.limit, one.before, one.standing.state)
            for one in self.stream.read(BEGINNING)
        ]


@pytest.fixture
def live(server) -> Iterator[Live]:
    client = connect(server.url)
    yield Live(
        PortfolioStore(client),
        RecomputeStore(client),
        BreachStream(client),
        ListenerStore(client),
    )
    client.close()


def test_quantities_are_stored_to_the_bit(live):
    held = Portfolio(
        "fund:7", {"B": 0.1 + 0.2, "A": -1e-300, "C": 0.0}, cash=0.1, tags={"desk": "é"}
    )

    assert live.portfolios.set(held) == 1
    found = live.portfolios.get("fund:7")

    assert found == replace(held, positions={"A": -1e-300, "B": 0.1 + 0.2})
    assert list(found.positions) == ["A", "B"]
    assert found.version == 1


def test_deltas_are_added_as_in_python(live):
    random = Random(7)
    live.portfolios.set(Portfolio("p", {}))
    sums: dict[str, float] = {}

    for number in range(300):
        deltas = {name: random.uniform(-1, 1) * 10 ** random.randint(-9, 9) for name in "ABC"}
        assert live.portfolios.change("p", deltas) == number + 2
        sums = {name: sums.get(name, 0.0) + deltas[name] for name in "ABC"}

    assert dict(live.portfolios.get("p").positions) == sums


def test_a_position_that_becomes_zero_is_removed(live):
    live.portfolios.set(Portfolio("p", {"A": 0.3, "B": 1.0}))

    live.portfolios.change("p", {"A": -0.3})

    assert dict(live.portfolios.get("p").positions) == {"B": 1.0}


def test_a_repeated_event_changes_nothing(live):
    live.portfolios.set(Portfolio("p", {"A": 1.0}), "opened")
    first = live.portfolios.change("p", {"A": 1.0}, "e1")
    live.portfolios.change("p", {"A": 1.0}, "e2")

    assert live.portfolios.change("p", {"A": 1.0}, "e1") == first == 2
    assert live.portfolios.set(Portfolio("p", {}), "opened") == 1
    assert dict(live.portfolios.get("p").positions) == {"A": 3.0}


def test_ids_with_colons_do_not_share_events(live):
    for name in ("a", "a:b"):
        live.portfolios.set(Portfolio(name, {"A": 1.0}))

    live.portfolios.change("a", {"A": 1.0}, "b:c")
    live.portfolios.change("a:b", {"A": 1.0}, "c")

    assert live.portfolios.get("a:b").positions["A"] == 2.0


def test_an_overflow_is_refused_and_changes_nothing(live):
    live.portfolios.set(Portfolio("p", {"A": 1.7e308, "B": 1.0}))

    with pytest.raises(InvalidPortfolioError) as refused:
        live.portfolios.change("p", {"B": 1.0, "A": 1.7e308})

    assert refused.value.field == "deltas['A']"
    assert dict(live.portfolios.get("p").positions) == {"A": 1.7e308, "B": 1.0}
    assert live.portfolios.get("p").version == 1


def test_an_id_that_was_not_set_is_unknown(live):
    for ask in (
        lambda: live.portfolios.get("p"),
        lambda: live.portfolios.change("p", {"A": 1.0}),
        lambda: live.portfolios.remove("p"),
        lambda: live.portfolios.report("p"),
    ):
        with pytest.raises(UnknownPortfolioError):
            ask()


def test_ten_changes_are_one_attempt(live):
    live.portfolios.set(Portfolio("p", {"A": 1.0}))
    for _ in range(9):
        live.portfolios.change("p", {"A": 1.0})

    (attempt,) = live.take()

    assert (attempt.portfolio.positions["A"], attempt.version) == (10.0, 10)
    assert live.take() == []


def test_portfolios_are_taken_when_enough_are_dirty_or_one_has_waited(live):
    live.portfolios.set(Portfolio("a", {}))
    waiting = live.recomputing.take(limit=2, wait_ms=60_000, max_in_progress=9)
    live.portfolios.set(Portfolio("b", {}))
    enough = live.recomputing.take(limit=2, wait_ms=60_000, max_in_progress=9)

    assert (waiting.reason, waiting.attempts) == ("nothing", [])
    assert 0 < waiting.due_ms <= 60_000
    assert [attempt.portfolio.id for attempt in enough.attempts] == ["a", "b"]


def test_the_number_of_portfolios_in_progress_is_bounded(live):
    for name in "abc":
        live.portfolios.set(Portfolio(name, {}))

    first = live.take(max_in_progress=2)
    assert [attempt.portfolio.id for attempt in first] == ["a", "b"]
    assert live.take(max_in_progress=2) == []

    live.record(first[0])
    assert [attempt.portfolio.id for attempt in live.take(max_in_progress=2)] == ["c"]


def test_each_change_of_state_is_in_the_stream_once_and_in_order(live):
    live.portfolios.set(Portfolio("p", {}))
    states = [LimitState.OK, LimitState.WARN, LimitState.WARN, LimitState.HARD, LimitState.OK]
    for state in states:
        (attempt,) = live.take()
        live.record(attempt, gross=state)
        assert live.record(attempt, gross=LimitState.NOT_EVALUATED) is None
        live.portfolios.change("p", {"A": 1.0})

    assert live.changes() == [
        ("p", 2, "gross", "ok", "warn"),
        ("p", 4, "gross", "warn", "hard"),
        ("p", 5, "gross", "hard", "ok"),
    ]
    assert len({one.event_id for one in live.stream.read(BEGINNING)}) == 3


def test_the_result_of_an_earlier_attempt_is_late(live):
    live.portfolios.set(Portfolio("p", {}))
    (early,) = live.take()
    live.portfolios.change("p", {"A": 1.0})
    (late,) = live.take()

    assert live.record(late, gross=LimitState.OK) == 0
    assert live.record(early, gross=LimitState.HARD) is None
    assert live.changes() == []
    assert live.portfolios.report("p").version == 2


def test_a_limit_that_no_longer_applies_becomes_ok(live):
    live.portfolios.set(Portfolio("p", {}))
    (attempt,) = live.take()
    live.record(attempt, gross=LimitState.HARD, net=LimitState.WARN)
    live.portfolios.change("p", {"A": 1.0})
    (attempt,) = live.take()

    assert live.record(attempt, net=LimitState.WARN) == 1
    assert live.changes()[-1] == ("p", 2, "gross", "hard", "none")
    assert live.stream.read(BEGINNING)[-1].standing.observed is None


def test_a_portfolio_that_is_removed_and_set_again_continues_its_versions(live):
    live.portfolios.set(Portfolio("p", {"A": 1.0}))
    (attempt,) = live.take()
    live.record(attempt, gross=LimitState.HARD)
    live.portfolios.change("p", {"A": 1.0})
    (former,) = live.take()

    assert live.portfolios.remove("p") == 2
    assert live.portfolios.set(Portfolio("p", {"A": 5.0})) == 3
    assert live.record(former, gross=LimitState.HARD) is None
    (attempt,) = live.take()
    live.record(attempt, gross=LimitState.OK)

    assert live.changes() == [("p", 1, "gross", "ok", "hard"), ("p", 2, "gross", "hard", "none")]
    assert live.portfolios.report("p").version == 3


def test_a_portfolio_without_a_limit_is_in_a_state_until_one_applies(live):
    """Nothing is kept of a limit that no longer applies; its next change is from ok."""
    live.portfolios.set(Portfolio("p", {"A": 1.0}))
    for states in (
        {"limit_set:s": LimitState.NONE},
        {"limit_set:s": LimitState.OK, "gross": LimitState.WARN},
        {"limit_set:other": LimitState.NONE},
        {"limit_set:other": LimitState.OK, "gross": LimitState.HARD},
    ):
        (attempt,) = live.take()
        live.record(attempt, **states)
        live.portfolios.change("p", {"A": 1.0})
    (summary,) = live.portfolios.summaries(["p"])

    assert live.changes() == [
        ("p", 1, "limit_set:s", "ok", "none"),
        ("p", 2, "limit_set:s", "none", "ok"),
        ("p", 2, "gross", "ok", "warn"),
        ("p", 3, "limit_set:other", "ok", "none"),
        ("p", 3, "gross", "warn", "none"),
        ("p", 4, "limit_set:other", "none", "ok"),
        ("p", 4, "gross", "ok", "hard"),
    ]
    assert summary.states == {"gross": "hard"}


def test_an_attempt_without_a_result_is_retried_and_finally_abandoned(live):
    live.portfolios.set(Portfolio("p", {}))
    for n_failed in range(2):
        (attempt,) = live.take()
        assert attempt.n_failed == n_failed
        live.recomputing.start([("p", attempt.number), ("gone", 1)])
        assert live.recomputing.retry(visibility_timeout_s=60, max_attempts=3) == []
        assert live.recomputing.retry(visibility_timeout_s=-1, max_attempts=3) == []
    (attempt,) = live.take()
    assert live.recomputing.retry(visibility_timeout_s=-1, max_attempts=3) == []
    (attempt,) = live.take()
    assert attempt.n_failed == 2
    live.recomputing.start([("p", attempt.number - 1)])
    assert live.recomputing.retry(visibility_timeout_s=-1, max_attempts=3) == []
    (attempt,) = live.take()
    live.recomputing.start([("p", attempt.number)])

    (abandoned,) = live.recomputing.retry(visibility_timeout_s=-1, max_attempts=3)

    assert abandoned.n_failed == 3
    assert live.record(abandoned, gross=LimitState.NOT_EVALUATED) == 1
    assert live.recomputing.counts().in_progress == 0


def test_a_new_market_or_limit_set_makes_all_reports_outdated(live, server, market):
    for name in "abc":
        live.portfolios.set(Portfolio(name, {}))
    for attempt in live.take():
        live.record(attempt)
    with RiskClient(server.url) as risk:
        risk.publish_market(market, name="another")
        risk.publish_limits(LIMITS, name="another")
    assert live.recomputing.counts().outdated == 0

    with RiskClient(server.url) as risk:
        risk.publish_market(market)
        risk.publish_market(market)
    assert live.recomputing.counts().outdated == 3
    assert len(live.take(limit=2)) == 2
    assert len(live.take(limit=2)) == 1
    assert live.take() == []

    with RiskClient(server.url) as risk:
        risk.publish_limits(LIMITS)
        risk.publish_limits(LIMITS)
    assert live.recomputing.counts().outdated == 3


def test_changed_portfolios_are_taken_before_outdated_ones(live, server, market):
    for name in "abc":
        live.portfolios.set(Portfolio(name, {}))
    for attempt in live.take():
        live.record(attempt)
    with RiskClient(server.url) as risk:
        risk.publish_market(market)
    live.portfolios.change("c", {"A": 1.0})

    assert live.recomputing.take(limit=9, wait_ms=0, max_in_progress=9).reason == "changed"
    outdated = live.recomputing.take(limit=9, wait_ms=0, max_in_progress=9)
    assert (outdated.reason, [one.portfolio.id for one in outdated.attempts]) == (
        "outdated",
        ["a", "b"],
    )


def test_a_change_wakes_a_waiting_collector(live):
    assert not live.recomputing.wait_for_dirty(0.01)
    live.portfolios.set(Portfolio("p", {}))
    live.portfolios.change("p", {"A": 1.0})

    assert live.recomputing.wait_for_dirty(0.01)
    assert not live.recomputing.wait_for_dirty(0.01)


def test_readers_of_a_group_share_and_acknowledge_changes(live):
    live.portfolios.set(Portfolio("p", {}))
    (attempt,) = live.take()
    live.record(attempt, a=LimitState.WARN, b=LimitState.WARN, c=LimitState.HARD)

    first = live.stream.read_group("desk", "one", limit=2)
    second = live.stream.read_group("desk", "two", limit=2)
    assert [one.standing.limit for one in (*first, *second)] == ["a", "b", "c"]
    assert live.stream.read_group("desk", "one", limit=2) == first

    live.stream.acknowledge("desk", [one.id for one in first])
    assert live.stream.read_group("desk", "one", limit=2) == []
    assert live.stream.claim("desk", "one", idle_s=0.0) == 1
    assert live.stream.read_group("desk", "one") == second


def test_reading_after_a_trimmed_position_is_an_error(live, server):
    live.portfolios.set(Portfolio("p", {}))
    for state in (LimitState.WARN, LimitState.HARD, LimitState.OK):
        (attempt,) = live.take()
        live.record(attempt, gross=state)
        live.portfolios.change("p", {"A": 1.0})
    first, _, third = live.stream.read(BEGINNING)
    client = connect(server.url)
    client.xtrim(BREACHES_KEY, maxlen=1, approximate=False)

    assert live.stream.read(third.id) == []
    assert live.stream.read(BEGINNING) == [third]
    with pytest.raises(ChangesTrimmedError):
        live.stream.read(first.id)
    client.close()


def test_a_group_whose_changes_were_trimmed_gets_an_error_once(live, server):
    client = connect(server.url)
    live.portfolios.set(Portfolio("p", {}))
    for state in (LimitState.WARN, LimitState.HARD, LimitState.OK, LimitState.WARN):
        (attempt,) = live.take()
        live.record(attempt, gross=state)
        live.portfolios.change("p", {"A": 1.0})
    changes = live.stream.read(BEGINNING)
    assert live.stream.read_group("had", "one", limit=1) == changes[:1]
    assert live.stream.read_group("behind", "one", limit=1) == changes[:1]
    live.stream.acknowledge("behind", [changes[0].id])
    client.xtrim(BREACHES_KEY, maxlen=2, approximate=False)

    for group in ("had", "behind"):
        with pytest.raises(ChangesTrimmedError):
            live.stream.read_group(group, "one")
    assert live.stream.read_group("behind", "one") == changes[2:]
    assert live.stream.read_group("new", "one") == changes[2:]
    client.close()


def test_a_group_starts_at_the_given_position(live):
    live.portfolios.set(Portfolio("p", {}))
    (attempt,) = live.take()
    live.record(attempt, gross=LimitState.HARD)

    live.stream.create_group("desk", "$")
    live.stream.create_group("desk", "0")
    assert live.stream.read_group("desk", "one") == []

    live.portfolios.remove("p")
    assert [one.before for one in live.stream.read_group("desk", "one")] == ["hard"]


def test_each_change_is_delivered_to_a_listener_once(live, server):
    client = connect(server.url)
    live.portfolios.set(Portfolio("p", {}))
    (attempt,) = live.take()
    live.record(attempt, gross=LimitState.HARD)
    assert client.llen("risk.critical") == 0

    assert live.listeners.add("desk", BEGINNING)
    assert not live.listeners.add("desk", BEGINNING)
    live.portfolios.change("p", {"A": 1.0})
    (attempt,) = live.take()
    live.record(attempt, gross=LimitState.OK, net=LimitState.WARN)
    assert client.lrange("risk.critical", 0, -1) == [b"wake"]

    last = live.stream.last()
    assert live.listeners.deliver("desk", BEGINNING, last, ["1", "2", "3"])
    assert not live.listeners.deliver("desk", BEGINNING, last, ["1", "2", "3"])
    assert client.llen("desk") == 3
    assert live.listeners.all() == {"desk": last}
    client.close()


def critical(
    live: Live, *ids: str, reason: str = "halt", max_in_progress: int = 1_000
) -> list[str]:
    """Send a critical event, take what is due and return the ids that were taken for it."""
    live.portfolios.critical_event(reason, ids)
    taken = live.recomputing.take(limit=50, wait_ms=60_000, max_in_progress=max_in_progress)
    assert taken.reason == "critical"
    return [attempt.portfolio.id for attempt in taken.attempts]


def test_portfolios_of_a_critical_event_are_taken_first_and_at_once(live):
    for name in "abcd":
        live.portfolios.set(Portfolio(name, {"A": 1.0}))
    live.take(limit=1)

    assert live.recomputing.counts().dirty == 3
    assert critical(live, "d", "c", max_in_progress=1) == ["c"]
    assert live.recomputing.take(limit=9, wait_ms=0, max_in_progress=1).attempts == []
    taken = live.recomputing.take(limit=9, wait_ms=0, max_in_progress=9)
    assert (taken.reason, [one.portfolio.id for one in taken.attempts]) == ("critical", ["d"])
    assert [one.portfolio.id for one in live.take()] == ["b"]


def test_a_critical_event_wakes_the_collector(live):
    live.portfolios.set(Portfolio("p", {}))
    live.take()
    live.recomputing.wait_for_dirty(0.01)

    live.portfolios.critical_event("halt", ["p"])

    assert live.recomputing.wait_for_dirty(0.01)


def test_the_reason_is_in_the_next_report_and_its_changes_and_not_in_later_ones(live):
    live.portfolios.set(Portfolio("p", {"A": 1.0}))
    (before,) = live.take()
    assert critical(live, "p", reason="exchange halt") == ["p"]
    attempt = replace(before, number=before.number + 1)

    live.record(before, gross=LimitState.WARN)
    assert live.portfolios.report("p").reason is None
    live.record(attempt, gross=LimitState.HARD)
    assert live.portfolios.report("p").reason == "exchange halt"
    live.portfolios.change("p", {"A": 1.0})
    live.record(live.take()[0], gross=LimitState.OK)

    assert live.portfolios.report("p").reason is None
    assert [(one.standing.state, one.reason) for one in live.stream.read(BEGINNING)] == [
        ("warn", None),
        ("hard", "exchange halt"),
        ("ok", None),
    ]


def test_one_report_that_answers_several_events_holds_all_their_reasons(live):
    live.portfolios.set(Portfolio("p", {}))
    live.take()
    for reason in ("halt", "default of X", "halt"):
        live.portfolios.critical_event(reason, ["p"], event_id=reason)
    (attempt,) = live.take()
    live.portfolios.critical_event("later", ["p"])

    live.record(attempt)
    assert live.portfolios.report("p").reason == "halt; default of X"
    live.record(live.take()[0])
    assert live.portfolios.report("p").reason == "later"


def test_a_check_of_a_critical_event_is_retried_in_the_critical_lane(live):
    live.portfolios.set(Portfolio("p", {}))
    assert critical(live, "p") == ["p"]
    assert live.recomputing.retry(visibility_timeout_s=-1, max_attempts=3) == []

    taken = live.recomputing.take(limit=9, wait_ms=0, max_in_progress=9)

    assert taken.reason == "critical"
    live.record(taken.attempts[0])
    assert live.portfolios.report("p").reason == "halt"


def test_a_removed_portfolio_is_not_checked_for_an_earlier_event(live):
    live.portfolios.set(Portfolio("p", {}))
    live.portfolios.critical_event("halt")
    live.portfolios.remove("p")

    assert live.take() == []
    live.portfolios.set(Portfolio("p", {}))
    live.record(live.take()[0])
    assert live.portfolios.report("p").reason is None


def test_a_critical_event_without_ids_is_for_all_portfolios(live):
    names = [f"p{number}" for number in range(450)]
    for name in names:
        live.portfolios.set(Portfolio(name, {}))

    assert live.portfolios.critical_event("halt").n_portfolios == 450
    taken = live.recomputing.take(limit=1_000, wait_ms=0, max_in_progress=1_000)
    assert taken.reason == "critical"
    assert sorted(attempt.portfolio.id for attempt in taken.attempts) == sorted(names)
