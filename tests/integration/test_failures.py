"""The decisions and failures of design.md, one test per row: no failure reads as "no breach"."""

from __future__ import annotations

import pytest

from risk_tasks import Limit, LimitSet, Portfolio
from risk_tasks.client.check_ids import CheckId
from risk_tasks.errors import (
    QueueFullError,
    ReportTimeoutError,
    UnknownInstrumentError,
    UnknownScenarioError,
)
from risk_tasks.keys import block_key
from risk_tasks.queues import LANE_CAPACITY, Lane, LaneCapacity
from tests.integration.support import unique

pytestmark = pytest.mark.integration

HOLDS_UNKNOWN = {"AAPL": 1.0, "NOPE": 2.0}


def limits(*of: Limit) -> LimitSet:
    return LimitSet(unique("set"), of)


def portfolio(positions=None, **known) -> Portfolio:
    return Portfolio(unique(), {"AAPL": 100.0} if positions is None else positions, **known)


def test_unbroken_limits_accept(risk):
    report = risk.check(portfolio(), limits=limits(Limit("gross_exposure", hard=1e9)))

    assert (report.decision, report.breaches, report.not_evaluated) == ("accept", (), ())


def test_a_passed_warning_threshold_warns(risk):
    report = risk.check(portfolio(), limits=limits(Limit("gross_exposure", warn=1.0, hard=1e9)))

    assert report.decision == "warn"
    assert [breach.severity for breach in report.breaches] == ["warn"]


def test_a_broken_hard_limit_rejects_with_all_reasons(risk):
    """Every breach and every limit that could not be evaluated is listed, not only the first."""
    held = limits(
        Limit("gross_exposure", hard=1.0),
        Limit("concentration", hard=0.5),
        Limit("net_exposure", warn=1.0),
        Limit("gross_leverage", hard=1.0),
    )

    report = risk.check(portfolio(), limits=held)

    assert report.decision == "reject"
    assert [(breach.limit, breach.severity) for breach in report.breaches] == [
        ("gross_exposure", "hard"),
        ("concentration", "hard"),
        ("net_exposure", "warn"),
    ]
    assert [(gap.limit, gap.reason) for gap in report.not_evaluated] == [
        ("gross_leverage", "nav_unknown")
    ]


def test_a_hard_limit_that_cannot_be_evaluated_rejects(risk):
    """Even without any breach."""
    report = risk.check(portfolio(), limits=limits(Limit("gross_leverage", hard=1e9)))

    assert (report.decision, report.breaches) == ("reject", ())
    assert [gap.limit for gap in report.not_evaluated] == ["gross_leverage"]


def test_a_limit_on_an_unknown_scenario_cannot_be_evaluated(risk):
    """The market does not have the scenario."""
    report = risk.check(portfolio(), limits=limits(Limit("stress_loss:nowhere", hard=1e9)))

    assert (report.status, report.decision) == ("ok", "reject")
    assert [gap.reason for gap in report.not_evaluated] == ["unknown_scenario"]


BAD_REQUESTS = {
    "instrument": (HOLDS_UNKNOWN, {}, UnknownInstrumentError, "positions['NOPE']"),
    "scenario": ({}, {"measures": ["stress_loss:nowhere"]}, UnknownScenarioError, "measures"),
}


@pytest.mark.parametrize(
    ("positions", "terms", "error", "field"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys()
)
def test_check_raises_for_a_bad_request(risk, positions, terms, error, field):
    """The error of the worker has the field."""
    with pytest.raises(error) as caught:
        risk.check(portfolio(positions), **terms)

    assert caught.value.field == field
    assert caught.value.remedy


def test_check_many_reports_a_bad_request_and_answers_the_others(risk):
    good, bad, also_good = portfolio(), portfolio(HOLDS_UNKNOWN), portfolio()

    reports = risk.check_many([good, bad, also_good], limits=limits(Limit("volatility", hard=1e9)))

    assert [report.portfolio_id for report in reports] == [good.id, bad.id, also_good.id]
    assert [report.status for report in reports] == ["ok", "error", "ok"]
    assert [report.decision for report in reports] == ["accept", "reject", "accept"]
    assert [report.code for report in reports] == [None, "unknown_instrument", None]
    assert reports[1].error.field == "positions['NOPE']"
    assert (reports[1].measures, reports[1].breaches, reports[1].input_hash) == ({}, (), None)


def test_an_empty_book_has_zeros_and_undefined_ratios(risk):
    report = risk.check(portfolio({}, nav=100.0))

    for name, measure in report.measures.items():
        assert measure.value == 0.0, name
        ratio = name in {"gross_leverage", "concentration", "herfindahl"}
        expected = ("undefined", "zero_gross") if ratio else ("ok", None)
        assert (measure.status, measure.reason) == expected, name


@pytest.mark.parametrize(
    ("known", "reason"),
    [({}, "nav_unknown"), ({"nav": 0.0}, "nav_not_positive"), ({"cash": -1e9}, "nav_not_positive")],
    ids=["unknown", "zero", "below zero because of cash"],
)
def test_measures_per_nav_are_undefined_without_a_nav(risk, known, reason):
    leverage = risk.check(portfolio(**known)).measures["gross_leverage"]

    assert (leverage.value, leverage.status, leverage.reason) == (None, "undefined", reason)


def test_a_window_that_is_too_short_for_a_confidence_is_insufficient(risk, market):
    """A thousand observations suffice for 99.9 %."""
    assert market.n_observations == 1_000
    names = [
        f"{name}@{confidence}"
        for confidence in ("0.999", "0.9991")
        for name in ("value_at_risk", "expected_shortfall")
    ]

    report = risk.check(portfolio(), measures=names)

    status = [report.measures[name].status for name in names]
    assert status == ["ok", "ok", "insufficient_data", "insufficient_data"]
    assert report.measures[names[2]].value is None


def test_an_unknown_market_raises_an_error(risk):
    report = risk.check(
        portfolio(), market=unique("nowhere"), limits=limits(Limit("volatility", hard=1))
    )

    assert (report.status, report.code, report.decision) == ("error", "no_market", "reject")
    assert (report.market_id, report.measures) == (None, {})


def test_a_worker_starts_without_a_market_and_answers_once_one_is_published(bare, clients, market):
    """Until then reports are rejected."""
    risk = clients(bare.url, timeout_s=20)
    one = portfolio()

    before, many = risk.check(one), risk.check_many([one, one])
    risk.publish_market(market)
    after = risk.check(one)

    assert (before.status, before.code, before.decision) == ("error", "no_market", "reject")
    assert [report.code for report in many] == ["no_market"] * 2
    assert before.error.remedy
    assert (after.status, after.market_id) == ("ok", market.id)


def test_a_full_lane_raises_with_its_depth_and_a_retry_time(server, clients, monkeypatch):
    """The client stops waiting for the blocks that it sent before."""
    monkeypatch.setitem(LANE_CAPACITY, Lane.BATCH, LaneCapacity(10, 1 << 20))
    risk = clients(server.url, timeout_s=0.1)
    with pytest.raises(ReportTimeoutError):
        risk.check_many([portfolio()] * 8, priority="batch")

    with pytest.raises(QueueFullError) as caught:
        risk.check_many([portfolio()] * 3, priority="batch")

    assert (caught.value.depth, caught.value.capacity) == (8, 10)
    assert 0 < caught.value.retry_after_s < 60
    assert server.client.llen(Lane.BATCH.queue) == 1


def test_a_time_out_has_the_id_of_the_check(server, clients):
    """The id of the block, which a worker can still answer."""
    risk = clients(server.url)

    with pytest.raises(ReportTimeoutError) as caught:
        risk.check(portfolio(), timeout_s=0.2)

    (block_id,) = CheckId.parse(caught.value.check_id).block_ids()
    assert block_key(block_id) in server.key_names()
    assert caught.value.retriable
    assert "0.2 s" in caught.value.message
    assert "normal" in caught.value.message
