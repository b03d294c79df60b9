"""The client over real workers has the reports that the pipeline computes in this process."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from risk_tasks import Limit, LimitSet, MeasureSettings, Portfolio, RiskClient
from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.client.partitioning import BlockBounds
from risk_tasks.errors import (
    InvalidLimitError,
    InvalidPortfolioError,
    InvalidSettingsError,
    QueueFullError,
    RequestError,
    UnknownLimitSetError,
    UnknownMeasureError,
)
from risk_tasks.keys import LEDGER_KEY, QUOTAS_KEY
from risk_tasks.model.measures import parse_measures
from risk_tasks.model.registry import STANDARD_MEASURES
from risk_tasks.model.report import Stamp
from risk_tasks.queues import LANE_CAPACITY, Lane, LaneCapacity
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Detail, Terms, pack_portfolios
from tests.integration.support import books, unique, untimed, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def in_process(service, market):
    """Computes the reports of portfolios here, without server, worker or bytes."""

    def compute(portfolios, *, limits=None, measures=None, settings=None):
        terms = Terms(parse_measures(measures), settings or MeasureSettings(), limits)
        answer = service.check(pack_portfolios(portfolios, terms), Stamp(market.id))
        return reports([portfolio.id for portfolio in portfolios], [answer])

    return compute


TERMS = {
    "standard": {},
    "qualified": {"measures": ["value_at_risk@0.95", "stress_loss:crash-2020", "herfindahl"]},
    "settings": {"settings": MeasureSettings("0.95", 10, "linear")},
    "nothing": {"measures": []},
}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
def test_reports_are_those_of_the_pipeline_bit_by_bit(risk, in_process, book, limit_set, terms):
    """Measures, decisions, breaches, gaps and hashes arrive unchanged."""
    sent = risk.check_many(book, limits=limit_set, **terms)

    assert untimed(sent) == untimed(in_process(book, limits=limit_set, **terms))


def test_the_sample_book_has_the_decisions_in_its_comments(risk, book, limit_set):
    """The comment beside each portfolio in books.toml names its decision."""
    decisions = {
        report.portfolio_id: report.decision for report in risk.check_many(book, limits=limit_set)
    }

    assert decisions == {
        "long-only": "accept",
        "long-short": "warn",
        "concentrated": "reject",
        "dollar-neutral": "accept",
        "all-short": "accept",
        "empty": "accept",
        "limit-breaker": "reject",
    }


def test_one_check_has_one_report(risk, in_process, book, limit_set, market):
    """With the market, the time and the limits of the check, and its timings."""
    report = risk.check(book[0], limits=limit_set)

    assert untimed([report]) == untimed(in_process(book[:1], limits=limit_set))
    assert (report.market_id, report.as_of) == (market.id, market.as_of)
    assert report.limits_version == limit_set.version
    assert list(report.measures)[: len(STANDARD_MEASURES)] == list(STANDARD_MEASURES)
    assert set(report.timings) == {"queued_ms", "fetch_ms", "compute_ms"}
    assert 0 <= report.timings["queued_ms"] < 20_000
    assert 0 < report.timings["compute_ms"] < 20_000


def test_many_portfolios_keep_their_order_over_several_blocks(
    risk, in_process, market, monkeypatch
):
    """Six thousand portfolios are at least three blocks."""
    portfolios = books(6_000, market.instruments)
    monkeypatch.setattr("risk_tasks.client.partitioning.LARGEST", BlockBounds(2_500, 50_000))

    sent = risk.check_many(portfolios, measures=["net_exposure", "value_at_risk"])

    # The reports of one block share one mapping of times.
    assert len({id(report.timings) for report in sent}) >= 3
    here = in_process(portfolios, measures=["net_exposure", "value_at_risk"])
    assert untimed(sent) == untimed(here)


def test_a_large_portfolio_is_a_block_of_its_own(risk, market, monkeypatch):
    """Blocks are bounded in positions, and no portfolio is cut."""
    monkeypatch.setattr("risk_tasks.client.partitioning.LARGEST", BlockBounds(10, 15))
    small = books(30, market.instruments, seed=3)
    large = Portfolio(unique(), dict.fromkeys(market.instruments, 2.0))

    sent = risk.check_many([*small, large, *small[:5]], measures=["market_value"])

    assert [r.portfolio_id for r in sent] == [p.id for p in [*small, large, *small[:5]]]
    (of_large,) = [report for report in sent if report.portfolio_id == large.id]
    assert of_large.measures["market_value"].value == pytest.approx(2 * market.prices.sum())
    assert [id(report.timings) for report in sent].count(id(of_large.timings)) == 1


def test_reports_of_a_block_equal_those_sent_one_by_one(risk, market, limit_set):
    """Portfolios of a block do not affect each other's numbers."""
    portfolios = books(25, market.instruments, seed=11)

    together = risk.check_many(portfolios, limits=limit_set)

    apart = [risk.check(portfolio, limits=limit_set) for portfolio in portfolios]
    assert untimed(together) == untimed(apart)


def test_an_empty_list_has_no_reports(risk):
    assert risk.check_many([]) == []


def test_portfolios_may_come_from_a_generator(risk, book, limit_set):
    """An id may repeat: each place has its own report."""
    twice = (portfolio for portfolio in [*book, *book])

    sent = untimed(risk.check_many(twice, limits=limit_set))

    assert sent[: len(book)] == sent[len(book) :]


@pytest.mark.parametrize("lane", Lane)
def test_every_lane_is_served(risk, lane):
    report = risk.check(Portfolio(unique(), {}), priority=lane.value)

    assert report.status == "ok"


def test_the_input_hash_differs_with_any_input(risk):
    """The same inputs have the same hash."""
    name = unique()
    inputs = [
        Portfolio(name, {"AAPL": 1.0}),
        Portfolio(name, {"AAPL": 2.0}),
        Portfolio(name, {"AMD": 1.0}),
        Portfolio(name, {"AAPL": 1.0}, cash=1.0),
        Portfolio(name, {"AAPL": 1.0}, nav=1.0),
    ]

    first, second = ([r.input_hash for r in risk.check_many(inputs)] for _ in range(2))
    other = risk.check_many(inputs, settings=MeasureSettings(horizon_days=2))

    assert first == second
    assert len({*first, *(report.input_hash for report in other)}) == 2 * len(inputs)


# --- limits


def cap(gross: float, name: str = "") -> LimitSet:
    """A limit set of one hard limit."""
    return LimitSet(name or unique("set"), [Limit("gross_exposure", hard=gross)])


@pytest.fixture
def hundred(market) -> Portfolio:
    """A portfolio worth a hundred dollars."""
    return Portfolio(unique(), {"AAPL": 100.0 / market.prices[market.index["AAPL"]]})


@pytest.mark.parametrize(("gross", "decision"), [(99.0, "reject"), (101.0, "accept")])
def test_limits_may_be_passed_or_named(risk, hundred, gross, decision):
    """Inline and published limits have the same decisions."""
    limits, name = cap(gross), unique("limits")
    version = risk.publish_limits(limits, name)

    inline, named = (risk.check(hundred, limits=given) for given in (limits, name))

    assert version == limits.version
    assert untimed([inline]) == untimed([named])
    assert (named.decision, named.limits_version) == (decision, version)
    assert risk.check(hundred, limits=version).decision == decision


def test_the_latest_limits_of_a_name_decide(risk, hundred):
    """A check that is sent after publishing uses the published limits."""
    name = unique("limits")
    decisions = []
    for gross in (101.0, 99.0, 101.0):
        risk.publish_limits(cap(gross), name)
        decisions.append(risk.check(hundred, limits=name).decision)

    assert decisions == ["accept", "reject", "accept"]


def test_an_unknown_limit_set_is_refused(risk, hundred):
    """It never means "no limits"."""
    name = unique("limits")

    for ask in (risk.check, lambda portfolio, **terms: risk.check_many([portfolio], **terms)):
        with pytest.raises(UnknownLimitSetError, match=name) as caught:
            ask(hundred, limits=name)
        assert caught.value.field == "limits"


def test_a_check_without_limits_has_no_decision(bare, clients, market, hundred):
    """Without published limits it is never `accept`; published ones decide."""
    risk = clients(bare.url, timeout_s=20)
    risk.publish_market(market)

    before = risk.check(hundred)
    version = risk.publish_limits(cap(99.0))
    default, inline = risk.check(hundred), risk.check(hundred, limits=cap(101.0))

    assert (before.status, before.decision, before.limits_version) == ("ok", "none", None)
    assert (default.decision, default.limits_version) == ("reject", version)
    assert inline.decision == "accept"


# --- arguments


BAD_ARGUMENTS = {
    "unknown measure": ({"measures": ["value_at_rsk"]}, UnknownMeasureError, "measures"),
    "measures one text": ({"measures": "volatility"}, UnknownMeasureError, "measures"),
    "measures a number": ({"measures": 5}, RequestError, "measures"),
    "confidence": ({"measures": ["value_at_risk@99"]}, InvalidSettingsError, "measures"),
    "limits a number": ({"limits": 5}, InvalidLimitError, "limits"),
    "limits empty": ({"limits": ""}, InvalidLimitError, "limits"),
    "settings a dict": ({"settings": {"confidence": "0.99"}}, InvalidSettingsError, "settings"),
    "market a number": ({"market": 5}, InvalidSettingsError, "market"),
    "market empty": ({"market": ""}, InvalidSettingsError, "market"),
    "lane": ({"priority": "urgent"}, InvalidSettingsError, "priority"),
    "no time": ({"timeout_s": 0}, InvalidSettingsError, "timeout_s"),
    "time before": ({"timeout_s": -1.0}, InvalidSettingsError, "timeout_s"),
    "time a text": ({"timeout_s": "5"}, InvalidSettingsError, "timeout_s"),
    "time no number": ({"timeout_s": float("nan")}, InvalidSettingsError, "timeout_s"),
    "time without end": ({"timeout_s": float("inf")}, InvalidSettingsError, "timeout_s"),
}


@pytest.mark.parametrize(
    ("arguments", "error", "field"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys()
)
def test_a_bad_argument_is_refused_before_anything_is_sent(server, arguments, error, field):
    """The error names the argument."""
    with RiskClient(server.url) as risk, pytest.raises(error) as caught:
        risk.check(Portfolio("p", {}), **arguments)

    assert caught.value.field == field
    assert server.key_names() == set()


def test_an_item_that_is_not_a_portfolio_is_refused_by_its_index(risk, book):
    with pytest.raises(InvalidPortfolioError) as caught:
        risk.check_many([book[0], {"id": "p", "positions": {}}])

    assert caught.value.field == "portfolios[1]"


def test_a_client_may_be_made_from_the_environment(fleet, monkeypatch, tmp_path, hundred):
    """Its URL may be in a file, such as a secret of a container."""
    path = tmp_path / "url"
    path.write_text(fleet.url + "\n")
    monkeypatch.delenv("RISK_TASKS_BROKER_URL", raising=False)
    monkeypatch.setenv("RISK_TASKS_BROKER_URL_FILE", str(path))
    monkeypatch.setenv("RISK_TASKS_TIMEOUT_S", "20")

    with RiskClient.from_env() as risk:
        assert risk.check(hundred).status == "ok"


def test_threads_share_a_client(risk, in_process, market, limit_set):
    """Each of thirty-two threads gets its own answer."""
    portfolios = books(96, market.instruments, seed=5)

    with ThreadPoolExecutor(32) as pool:
        sent = list(pool.map(lambda one: risk.check(one, limits=limit_set), portfolios))

    assert untimed(sent) == untimed(in_process(portfolios, limits=limit_set))


def test_answered_checks_leave_nothing_of_their_client(fleet, fleet_server, clients, book):
    """No payload, ledger entry, answer, reply or Celery result is left after it was read."""
    risk = clients(fleet.url, timeout_s=20)
    for _ in range(5):
        risk.check_many(book)
    client_id = risk._connection._client_id

    def left() -> list[str]:
        in_ledger = fleet_server.client.zrange(LEDGER_KEY, 0, -1)
        names = [*fleet_server.key_names(), *(block.decode() for block in in_ledger)]
        return [name for name in names if client_id in name]

    # An answer is removed after the caller has it.
    wait_until(lambda: left() == [], 3)


def test_a_call_larger_than_its_lane_waits_for_its_own_blocks(risk, market, monkeypatch):
    """Forty blocks go through a lane that holds five."""
    monkeypatch.setattr("risk_tasks.client.partitioning.LARGEST", BlockBounds(10, 50_000))
    monkeypatch.setitem(LANE_CAPACITY, Lane.BATCH, LaneCapacity(50, 64 << 20))
    refused = []
    enqueue = BlockBroker.enqueue

    def counted(self, *args, **kwargs):
        try:
            return enqueue(self, *args, **kwargs)
        except QueueFullError:
            refused.append(1)
            raise

    monkeypatch.setattr(BlockBroker, "enqueue", counted)
    portfolios = books(400, market.instruments, seed=5)

    sent = risk.check_many(portfolios, priority="batch", measures=["market_value"])

    assert [report.portfolio_id for report in sent] == [p.id for p in portfolios]
    assert {report.status for report in sent} == {"ok"}
    assert refused


def test_a_call_larger_than_its_quota_waits_for_the_quota(fleet, fleet_server, market, monkeypatch):
    """Its blocks are accepted in sequence; as a whole it exceeds the quota."""
    monkeypatch.setattr("risk_tasks.client.partitioning.LARGEST", BlockBounds(10, 50_000))
    name = unique("quota")
    fleet_server.client.hset(QUOTAS_KEY, name, 40)
    portfolios = books(60, market.instruments, seed=5)

    with RiskClient(fleet.url, client_name=name, timeout_s=20) as risk:
        sent = risk.check_many(portfolios, priority="critical", measures=["market_value"])
    fleet_server.client.hdel(QUOTAS_KEY, name)
    fleet_server.client.delete(f"risk:quota:{name}")

    assert [report.portfolio_id for report in sent] == [p.id for p in portfolios]
    assert {report.status for report in sent} == {"ok"}


def test_a_call_that_finds_no_room_in_time_is_refused(server, clients, monkeypatch):
    """No worker serves the lane."""
    monkeypatch.setattr("risk_tasks.client.partitioning.LARGEST", BlockBounds(1, 50_000))
    monkeypatch.setitem(LANE_CAPACITY, Lane.BATCH, LaneCapacity(1, 64 << 20))
    started = time.monotonic()

    with pytest.raises(QueueFullError):
        clients(server.url, timeout_s=0.4).check_many(
            [Portfolio(unique(), {"AAPL": 1.0})] * 2, priority="batch"
        )

    assert 0.3 < time.monotonic() - started < 5
    assert server.lane(Lane.BATCH)[0] == 1


def test_sixty_four_threads_share_one_client(risk, market):
    """Each gets the report of its own portfolio."""
    portfolios = books(64, market.instruments, seed=64)

    with ThreadPoolExecutor(64) as pool:
        found = list(pool.map(lambda p: [risk.check(p) for _ in range(3)], portfolios))

    assert [{r.portfolio_id for r in of_one} for of_one in found] == [{p.id} for p in portfolios]
    expected = risk.check_many(portfolios)
    assert untimed([of_one[0] for of_one in found]) == untimed(expected)


@pytest.mark.parametrize("way", ["check", "submit"])
def test_an_explained_check_has_the_headroom(risk, service, market, book, limit_set, way):
    """That of the pipeline; the largest trade is accepted and a larger one is not."""
    portfolio = book[0]
    terms = Terms(parse_measures(None), MeasureSettings(), limit_set, Detail.EXPLAINED)
    answer = service.check(pack_portfolios([portfolio], terms), Stamp(market.id))
    if way == "check":
        report = risk.check(portfolio, limits=limit_set, explain=True)
    else:
        (report,) = risk.submit([portfolio], limits=limit_set, explain=True).result()

    assert report.explanation == reports([portfolio.id], [answer])[0].explanation
    room = next(room for room in report.explanation.headroom if room.buy is not None)
    hard = LimitSet("hard", [limit for limit in limit_set.limits if limit.id == room.buy_bound_by])
    for more in (room.buy, room.buy * (1 + 1e-6)):
        held = {**portfolio.positions}
        held[room.instrument] += more
        larger = replace(portfolio, positions=held)
        broken = [breach.severity for breach in risk.check(larger, limits=hard).breaches]
        assert ("hard" in broken) is (more > room.buy)
    assert risk.check(portfolio, limits=limit_set).explanation is None
