"""Portfolios with young instruments: how many outcomes are behind a number, and what limits do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.engine.window import LEAST_SHARE
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES
from risk_tasks.readers.market import read_market
from risk_tasks.wire.request import Detail
from tests.unit.service.support import make_market, make_service, report_of, reports_of

N_DAYS = 1000
FIRST_DAY = date(2021, 1, 1)


def young_market(n_young: int = 130, prices=(1.0, 1.0), **change):
    """Return a market in which OLD was wild long ago, and NEW has returns on the last days only."""
    dice = np.random.default_rng(3)
    returns = dice.normal(0.0, 0.01, (N_DAYS, 2))
    returns[:500, 0] = dice.normal(0.0, 0.04, 500)
    returns[: N_DAYS - n_young, 1] = np.nan
    return make_market(
        instruments=["OLD", "NEW"], prices=list(prices), returns=returns, scenarios={}, **change
    )


def check(positions, market, *, limits=(), **terms):
    """Return the report of one portfolio with a net asset value of a million."""
    return report_of(
        Portfolio("p", positions, nav=1e6),
        service=make_service(markets=(market,)),
        market=market.id,
        limits=LimitSet("s", limits),
        **terms,
    )


VAR = Limit("value_at_risk", hard=60_000)


def test_a_millionth_of_a_young_share_does_not_make_a_rejected_book_accepted():
    """The value of the short window is reported, with its number of outcomes and a warning."""
    market = young_market(dates=[FIRST_DAY + timedelta(days=i) for i in range(N_DAYS)])

    assert check({"OLD": 1e6}, market, limits=[VAR]).decision == "reject"
    report = check({"OLD": 1e6, "NEW": 1e-6}, market, limits=[VAR])

    var = report.measures["value_at_risk"]
    assert (var.status, var.reason, var.n_observations) == ("degraded", "short_window", 130)
    assert 0 < var.value < 60_000
    assert report.decision == "warn"
    assert [(gap.limit, gap.reason, gap.missing_data) for gap in report.not_evaluated] == [
        ("value_at_risk", "short_window", "warn")
    ]
    (finding,) = report.data_quality
    assert str(finding) == "short_window:NEW"
    assert finding.detail == (
        "130 of 1,000 expected outcomes, below 75%; it has returns since 2023-05-21"
    )


@given(
    st.floats(1e-12, 1e12),
    st.sampled_from([1.0, -1.0]),
    st.integers(100, int(LEAST_SHARE * N_DAYS) - 1),
    st.sampled_from(["warn", "reject"]),
    st.sampled_from([name for name in STANDARD_MEASURES if MEASURES[name].of_past]),
)
def test_a_young_position_of_any_size_never_makes_a_rejected_book_accepted(
    units, side, n_young, rule, measure
):
    """For each measure of the past, a short window has at least the effect of its rule."""
    limit = Limit(measure, hard=1.0, short_window=rule)
    market = young_market(n_young)
    assert check({"OLD": 1e6}, market, limits=[limit]).decision == "reject"

    decision = check({"OLD": 1e6, "NEW": side * units}, market, limits=[limit]).decision

    assert decision in ("warn", "reject")
    assert decision == "reject" or rule == "warn"


def test_a_young_share_of_forty_days_is_too_short_for_a_value_at_risk():
    """The limit is not evaluated, and its `missing_data` decides; it is named once."""
    report = check({"OLD": 1e6, "NEW": 1e-6}, young_market(40), limits=[VAR])

    assert report.decision == "reject"
    assert [gap.reason for gap in report.not_evaluated] == ["window_too_short"]


@pytest.mark.parametrize(
    ("n_young", "is_short"),
    [(int(LEAST_SHARE * N_DAYS), False), (int(LEAST_SHARE * N_DAYS) - 1, True)],
)
def test_a_window_is_short_below_a_share_of_the_expected_outcomes(n_young, is_short):
    report = check({"OLD": 1.0, "NEW": 1.0}, young_market(n_young), limits=[VAR])

    assert report.decision == ("warn" if is_short else "accept")
    assert [one.kind for one in report.data_quality] == ["short_window"] * is_short


@pytest.mark.parametrize("align", ["drop", "common"])
@pytest.mark.parametrize("has_gap", [False, True], ids=["no gap", "gap"])
@pytest.mark.parametrize(("window_days", "is_short"), [(None, False), (300, False), (500, True)])
def test_a_table_of_prices_that_is_shorter_than_its_window_is_short(
    align, has_gap, window_days, is_short
):
    """299 returns are enough for a window of 300 days, and too few for one of 500."""
    prices = 100.0 * np.cumprod(np.random.default_rng(3).normal(1.0, 0.01, (2, 300)), axis=1)
    table = {
        "date": [FIRST_DAY + timedelta(days=i) for i in range(300)],
        "FULL": prices[0].tolist(),
        "GAPPED": [None if has_gap and i == 100 else of for i, of in enumerate(prices[1].tolist())],
    }
    market = read_market(pa.table(table), window_days=window_days, align=align)

    report = check({"FULL": 1.0, "GAPPED": 1.0}, market, limits=[VAR])

    assert [one.kind for one in report.data_quality] == ["short_window"] * is_short
    assert report.decision == ("warn" if is_short else "accept")


def test_days_without_trading_do_not_shorten_a_window_that_the_panel_fills():
    """Shares trade on 5 of 7 days of a cryptocurrency: 250 of 350 rows, for a window of 350."""
    returns = np.random.default_rng(3).normal(0.0, 0.01, (350, 2))
    returns[np.arange(350) % 7 >= 5, 0] = np.nan
    market = make_market(
        instruments=["SHARE", "COIN"], prices=[1.0, 1.0], returns=returns, scenarios={}
    )

    full = check({"SHARE": 1.0}, replace(market, align="common", window_days=350))
    short = check({"SHARE": 1.0}, replace(market, align="common", window_days=500))

    assert full.data_quality == ()
    assert short.data_quality[0].detail == "250 of 357 expected outcomes, below 75%"


def test_outcomes_of_several_days_are_counted_as_outcomes():
    """A sum of ten days needs ten returns; a market of T days has T - 9 of them."""
    settings = MeasureSettings(horizon_days=10, horizon_rule="overlapping")
    full = check({"OLD": 1.0}, young_market(), settings=settings)
    report = check({"OLD": 1.0, "NEW": 1.0}, young_market(), settings=settings)

    assert full.data_quality == ()
    assert full.measures["volatility"].n_observations == 991
    assert report.data_quality[0].detail.startswith("121 of 991 expected outcomes")


def test_only_measures_of_the_past_are_concerned():
    """Exposures are as good on a short window; a check without the past does not have one."""
    limits = [Limit("gross_exposure", hard=9e9, short_window="reject")]
    book = {"OLD": 1.0, "NEW": 1.0}

    with_past = check(book, young_market(), limits=limits)
    without = check(book, young_market(), limits=limits, measures=["market_value"])

    assert (with_past.decision, without.decision) == ("accept", "accept")
    assert with_past.measures["gross_exposure"].status == "ok"
    assert with_past.measures["gross_exposure"].n_observations is None
    assert without.data_quality == ()


def test_rows_of_one_block_are_short_or_not_each_for_itself():
    """Also an empty book, a position of zero, and a share without any return."""
    market = young_market(0)
    books = [{"OLD": 1.0}, {}, {"NEW": 0.0, "OLD": 1.0}, {"NEW": 1.0}, {"OLD": 1.0, "NEW": 1.0}]

    found = reports_of(
        [Portfolio(str(i), book) for i, book in enumerate(books)],
        service=make_service(markets=(market,)),
        market=market.id,
    )

    assert [[str(one) for one in report.data_quality] for report in found] == [
        *([], [], [], ["short_window:NEW"], ["short_window:NEW"])
    ]
    assert found[3].data_quality[0].detail.endswith("it has no returns")


def explained(positions, rule, market=None):
    limits = [Limit("value_at_risk", hard=1e9, short_window=rule)]
    market = market or young_market()
    report = check(positions, market, limits=limits, detail=Detail.EXPLAINED)
    return report, {one.instrument: one for one in report.explanation.headroom}


def test_a_book_that_is_rejected_for_its_window_has_no_headroom():
    """Even though its value is far from the threshold; a warning leaves the headroom."""
    report, rooms = explained({"OLD": 100.0, "NEW": 1.0}, "reject")

    assert report.decision == "reject"
    assert {(one.buy, one.sell) for one in rooms.values()} == {(0.0, 0.0)}
    assert {one.buy_bound_by for one in rooms.values()} == {"value_at_risk"}
    assert explained({"OLD": 100.0, "NEW": 1.0}, "warn")[1]["OLD"].buy > 1e6


def test_a_purchase_that_makes_the_window_short_has_no_headroom():
    """A position of zero whose share is young."""
    rejecting = explained({"OLD": 100.0, "NEW": 0.0}, "reject")[1]
    warning = explained({"OLD": 100.0, "NEW": 0.0}, "warn")[1]

    assert (rejecting["NEW"].buy, rejecting["NEW"].sell) == (0.0, 0.0)
    assert rejecting["NEW"].buy_bound_by == "value_at_risk"
    assert rejecting["OLD"].buy > 1e6
    assert warning["NEW"].buy > 1e6


def test_a_limit_without_a_hard_threshold_that_rejects_is_not_hidden_by_the_headroom():
    """The headroom names it as not considered, and is 0 while it rejects."""
    limits = [Limit("volatility", warn=1e9, short_window="reject")]

    full = check({"OLD": 1.0}, young_market(), limits=limits, detail=Detail.EXPLAINED)
    short = check({"NEW": 1.0}, young_market(), limits=limits, detail=Detail.EXPLAINED)

    assert full.explanation.not_bounded == ("volatility",)
    assert (short.decision, short.explanation.headroom[0].buy) == ("reject", 0.0)
