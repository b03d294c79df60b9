"""A worker records the answers of blocks of live portfolios, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import free_port
from risk_tasks.errors import TransportError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Stamp
from risk_tasks.queues import LIMIT_BREACH_TASK, Lane
from risk_tasks.service import MarketCache, Service
from risk_tasks.service.live import LiveRecorder
from risk_tasks.store.breaches import BEGINNING, BreachStream, ListenerStore
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.recompute import RecomputeStore
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.documents import report_document
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import AttemptMark, Detail, RequestBlock, Terms, pack_portfolios
from tests.integration.support import Server

pytestmark = pytest.mark.integration

LIMITS = LimitSet(
    "desk",
    [
        Limit("gross_exposure", warn=1e3, hard=1e6, id="gross"),
        Limit("net_exposure", hard=1e3, id="net", applies_to={"desk": "us"}),
        Limit("gross_leverage", hard=2.0, id="leverage", applies_to={"portfolio_id": "known"}),
    ],
)
TERMS = Terms(parse_measures(None), MeasureSettings(), detail=Detail.REPORTS)


@dataclass
class Recording:
    """Takes portfolios that are due, computes and records them, one step at a time."""

    server: Server
    market: MarketSnapshot
    limits: LimitSet = LIMITS
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        client = self.server.client
        self.portfolios, self.stream = PortfolioStore(client), BreachStream(client)
        self.store = RecomputeStore(client)
        self.recorder = LiveRecorder(self.store, self.load)
        self.service = Service(MarketCache({self.market.id: self.market}.get), self.load)

    def load(self, version: str) -> LimitSet:
        self.loaded.append(version)
        assert version == self.limits.version
        return self.limits

    def take(self) -> RequestBlock:
        attempts = self.store.take(limit=50, wait_ms=0, max_in_progress=1_000).attempts
        marks = [AttemptMark(attempt.version, attempt.number) for attempt in attempts]
        return pack_portfolios([attempt.portfolio for attempt in attempts], TERMS, marks)

    def answer(self, request: RequestBlock, *, has_limits: bool = True) -> AnswerBlock:
        version = self.limits.version if has_limits else ""
        return self.service.check(request, Stamp(self.market.id, version))

    def compute(self) -> tuple[RequestBlock, AnswerBlock]:
        request = self.take()
        answer = self.answer(request)
        self.recorder.record(request, answer)
        return request, answer

    def changes(self) -> set[tuple[str, int, str, str, str]]:
        return {
            (one.portfolio_id, one.version, one.standing.limit, one.before, one.standing.state)
            for one in self.stream.read(BEGINNING)
        }


@pytest.fixture
def live(server, market) -> Iterator[Recording]:
    return Recording(server, market)


def test_each_portfolio_gets_its_own_report_and_limit_states(live):
    live.portfolios.set(Portfolio("calm", {"AAPL": 0.01}))
    live.portfolios.set(Portfolio("known", {"AAPL": 100.0}, nav=1e9))
    live.portfolios.set(Portfolio("us", {"AAPL": 1e6}, tags={"desk": "us"}))
    live.portfolios.change("us", {"AAPL": -1.0})

    request, answer = live.compute()

    names = request.portfolio_ids.to_pylist()
    assert sorted(names) == ["calm", "known", "us"]
    for name, report in zip(names, reports(names, [answer]), strict=True):
        held = live.portfolios.report(name)
        assert report_document(held.report) == report_document(report)
        assert held.report.portfolio_id == name
        assert held.version == held.current_version == (2 if name == "us" else 1)
    assert live.changes() == {
        ("known", 1, "gross", "ok", "warn"),
        ("us", 2, "gross", "ok", "hard"),
        ("us", 2, "net", "ok", "hard"),
    }
    assert live.store.counts().in_progress == 0


def test_a_standing_has_the_observed_value_and_its_unit(live):
    live.portfolios.set(Portfolio("us", {"AAPL": 1e6}, tags={"desk": "us"}))

    live.compute()

    standings = {one.standing.limit: one.standing for one in live.stream.read(BEGINNING)}
    price = live.market.prices[live.market.index["AAPL"]]
    for limit, measure, threshold in (
        ("gross", "gross_exposure", 1e6),
        ("net", "net_exposure", 1e3),
    ):
        assert standings[limit].measure == measure
        assert standings[limit].observed == pytest.approx(1e6 * price, rel=1e-12)
        assert (standings[limit].threshold, standings[limit].unit) == (threshold, "ccy")


def test_recording_twice_changes_nothing(live):
    live.portfolios.set(Portfolio("us", {"AAPL": 1e6}))
    request, answer = live.compute()
    before = live.server.content()

    live.recorder.record(request, answer)

    after = live.server.content()
    assert live.store.counts().late == 1
    for content in (before, after):
        content.pop("risk:counters")
    assert after == before


def test_the_report_of_the_later_attempt_is_kept(live):
    live.portfolios.set(Portfolio("us", {"AAPL": 1e6}))
    early = live.take()
    live.portfolios.change("us", {"AAPL": -1e6})
    late = live.take()

    live.recorder.record(late, live.answer(late))
    live.recorder.record(early, live.answer(early))

    assert live.portfolios.report("us").version == 2
    assert live.changes() == set()


def test_limits_of_a_failed_row_are_not_evaluated_and_other_rows_are_recorded(live):
    live.portfolios.set(Portfolio("bad", {"NO SUCH": 1.0}))
    live.portfolios.set(Portfolio("known", {"AAPL": 100.0}))

    live.compute()

    reasons = {
        (one.portfolio_id, one.standing.limit): one.standing.reason
        for one in live.stream.read(BEGINNING)
        if one.standing.state == "not_evaluated"
    }
    assert reasons == {
        ("bad", "gross"): "unknown_instrument",
        ("known", "leverage"): "nav_unknown",
    }
    assert live.portfolios.report("bad").report.code == "unknown_instrument"


def test_without_a_limit_set_all_limits_become_none(live):
    live.portfolios.set(Portfolio("us", {"AAPL": 1e6}))
    live.compute()
    live.portfolios.change("us", {"AAPL": 1.0})
    request = live.take()
    live.loaded.clear()

    live.recorder.record(request, live.answer(request, has_limits=False))

    assert live.loaded == []
    assert live.changes() == {("us", 1, "gross", "ok", "hard"), ("us", 2, "gross", "hard", "none")}
    assert live.portfolios.report("us").report.decision == "none"


@pytest.mark.parametrize(
    ("unmatched", "decision", "state"),
    [("none", "none", "none"), ("reject", "reject", "not_evaluated")],
)
def test_a_portfolio_to_which_no_limit_applies_any_more_changes_state(
    server, market, unmatched, decision, state
):
    """By the decision of its report, by its summary and in the stream, after the case changed."""
    gross = Limit("gross_exposure", hard=100.0, applies_to={"desk": "us"}, id="gross")
    live = Recording(server, market, LimitSet("house", [gross], unmatched=unmatched))
    for desk in ("us", "US", "us"):
        live.portfolios.set(Portfolio("p", {"AAPL": 1e6}, tags={"desk": desk}))
        live.compute()
        if desk == "US":
            report = live.portfolios.report("p").report
            (summary,) = live.portfolios.summaries(["p"])

    assert (report.decision, report.limits_applied) == (decision, 0)
    assert summary.states == {"limit_set:house": state}
    assert live.changes() == {
        ("p", 1, "gross", "ok", "hard"),
        ("p", 2, "gross", "hard", "none"),
        ("p", 2, "limit_set:house", "ok", state),
        ("p", 3, "limit_set:house", state, "ok"),
        ("p", 3, "gross", "ok", "hard"),
    }


def test_a_dispatch_is_requested_only_if_a_queue_listens(live):
    critical = Lane.CRITICAL.queue
    live.portfolios.set(Portfolio("p", {"AAPL": 1e6}))
    live.compute()
    assert live.server.messages(critical) == []

    ListenerStore(live.server.client).add("desk", BEGINNING)
    for quantity in (-1e6, 1e6):
        live.portfolios.change("p", {"AAPL": quantity})
        live.compute()

    (message,) = live.server.messages(critical)
    assert message["headers"]["task"] == LIMIT_BREACH_TASK


def test_only_a_started_attempt_counts_as_failed(live):
    for name in ("started", "waits"):
        live.portfolios.set(Portfolio(name, {"AAPL": 1.0}))
    request = live.take()
    started = request.portfolio_ids.to_pylist().index("started")
    only = pack_portfolios([Portfolio("started", {})], TERMS, [request.attempts[started]])

    live.recorder.start(only)
    assert live.store.retry(visibility_timeout_s=-1, max_attempts=9) == []

    taken = live.store.take(limit=50, wait_ms=0, max_in_progress=1_000)
    assert {attempt.portfolio.id: attempt.n_failed for attempt in taken.attempts} == {
        "started": 1,
        "waits": 0,
    }


def test_an_unreachable_server_is_a_transport_error(live):
    live.portfolios.set(Portfolio("p", {"AAPL": 1.0}))
    request = live.take()
    answer = live.answer(request)
    with connect(f"redis://127.0.0.1:{free_port()}/0", n_retries=0) as nobody:
        recorder = LiveRecorder(RecomputeStore(nobody), live.load)
        with pytest.raises(TransportError):
            recorder.start(request)
        with pytest.raises(TransportError):
            recorder.record(request, answer)
