"""Portfolios are computed on the dates on which all their instruments trade."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.engine import (
    MarketArrays,
    PortfolioBlock,
    compute,
    contributions,
    dropped_rows,
    largest_trades,
    outcomes_behind,
)
from risk_tasks.engine.backtesting import rolling_backtest
from risk_tasks.engine.window import expected_outcomes
from risk_tasks.model.limits import Comparison
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import HorizonRule, MeasureSettings, parse_measures
from risk_tasks.model.registry import MEASURES, Qualifier
from risk_tasks.model.scenario import Replay

NAN = float("nan")
AS_OF = datetime(2024, 6, 28, tzinfo=UTC)
NAMES = ("US", "JP", "COIN")
N = 90
PLAIN = [name for name, one in MEASURES.items() if one.qualifier is Qualifier.NONE]
PAST = parse_measures([name for name in PLAIN if MEASURES[name].of_past])
OF_ONE = parse_measures(
    [f"{name}:COIN" for name, one in MEASURES.items() if one.qualifier is Qualifier.INSTRUMENT]
)
FEW = MeasureSettings(0.9, n_paths=1000)
TEN_DAYS = replace(FEW, horizon_days=3, horizon_rule=HorizonRule.OVERLAPPING)


def _prices(seed=1, n=N):
    steps = np.random.default_rng(seed).normal(0.0, 0.01, (n + 1, len(NAMES)))
    return 100.0 * np.exp(np.cumsum(steps, axis=0))


def _days(n=N + 1):
    return [date(2024, 1, 1) + timedelta(day) for day in range(n)]


def _market(prices, days, closed, **more):
    """The market of `prices` (rows, n) where `closed` (rows, n) marks missing prices."""
    seen = np.where(closed, NAN, prices)
    returns = np.full((len(days) - 1, seen.shape[1]), NAN)
    first = []
    for i, column in enumerate(seen.T):
        at = np.flatnonzero(~np.isnan(column))
        returns[at[1:] - 1, i] = column[at[1:]] / column[at[:-1]] - 1.0
        first.append(days[at[0]])
    more = {"align": "common", "first_dates": first, "max_gap_days": 10, **more}
    return MarketSnapshot(AS_OF, NAMES, prices[-1], returns, dates=days[1:], **more)


def _block(*books):
    sizes = [len(book) for book in books]
    pairs = [(NAMES.index(name), quantity) for book in books for name, quantity in book.items()]
    return PortfolioBlock(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([i for i, _ in pairs], dtype=np.int64),
        np.array([q for _, q in pairs], dtype=np.float64),
        np.full(len(books), NAN),
        np.full(len(books), 1e4),
    )


def _same(found, right, rel=1e-12):
    for name, column in right.items():
        assert found[name].outcomes.tolist() == column.outcomes.tolist(), str(name)
        assert found[name].n_observations.tolist() == column.n_observations.tolist(), str(name)
        np.testing.assert_allclose(found[name].values, column.values, rtol=rel, err_msg=str(name))


CLOSED = np.zeros((N + 1, 3), dtype=bool)
CLOSED[[d for d in range(N) if _days()[d].weekday() >= 5], :2] = True
CLOSED[[10, 11, 31, 52, 53], 0] = True
CLOSED[[3, 4, 31, 60, 61, 62], 1] = True
CLOSED[-1] = False
BOOKS = ({"US": 5.0}, {"JP": -2.0}, {"COIN": 1.0}, {"US": 5.0, "COIN": -1.0},
         {"US": 1.0, "JP": 3.0, "COIN": 2.0})  # fmt: skip


def _on_common(book, prices, days, closed, extra=(), **more):
    """The market of the same prices on the rows on which all in `book` trade."""
    held = [NAMES.index(name) for name in {*book, *extra}]
    rows = np.flatnonzero(~closed[:, held].any(axis=1))
    kept = [days[row] for row in rows]
    returns = np.full((len(rows) - 1, 3), NAN)
    returns[:, held] = prices[rows][1:, held] / prices[rows][:-1, held] - 1.0
    return MarketSnapshot(AS_OF, NAMES, prices[-1], returns, dates=kept[1:], **more)


@pytest.mark.parametrize("terms", [FEW, TEN_DAYS], ids=["one day", "overlapping"])
def test_every_measure_of_the_past_is_that_of_the_common_dates(terms):
    prices, days = _prices(), _days()
    market = MarketArrays.of(_market(prices, days, CLOSED))

    found = compute(_block(*BOOKS), market, PAST, terms)

    for row, book in enumerate(BOOKS):
        right = MarketArrays.of(_on_common(book, prices, days, CLOSED))
        expected = compute(_block(book), right, PAST, terms)
        mine = {name: _row(column, row) for name, column in found.items()}
        _same(mine, expected, rel=1e-9)


def _row(column, row):
    return replace(
        column,
        values=column.values[row : row + 1],
        outcomes=column.outcomes[row : row + 1],
        n_observations=column.n_observations[row : row + 1],
    )


def test_a_portfolio_of_one_calendar_has_the_bits_of_its_own_rows():
    prices, days = _prices(), _days()
    market = MarketArrays.of(_market(prices, days, CLOSED))
    right = MarketArrays.of(_on_common({"US": 1.0}, prices, days, CLOSED))

    found = compute(_block({"US": 5.0}), market, PAST, FEW)
    expected = compute(_block({"US": 5.0}), right, PAST, FEW)

    for name in PAST:
        assert found[name].values.tobytes() == expected[name].values.tobytes(), str(name)


def test_a_portfolio_without_gaps_is_computed_on_the_market_itself():
    prices, days = _prices(), _days()
    market = _market(prices, days, CLOSED)
    plain = MarketArrays.of(replace(market, align="drop", max_gap_days=None, first_dates=None))

    found = compute(_block(*BOOKS), MarketArrays.of(market), PAST, FEW)
    expected = compute(_block({"COIN": 1.0}), plain, PAST, FEW)

    for name in PAST:
        assert found[name].values[2] == expected[name].values[0], str(name)


def test_the_instrument_of_a_measure_trades_on_the_rows_too():
    """US is closed on days on which COIN trades: their covariance is that of common dates."""
    names = parse_measures(["beta:US", "marginal_value_at_risk:US"])
    prices, days = _prices(), _days()
    market = MarketArrays.of(_market(prices, days, CLOSED))
    right = MarketArrays.of(_on_common({"COIN": 1.0}, prices, days, CLOSED, extra=["US"]))

    found = compute(_block({"COIN": 1.0}), market, names, FEW)

    _same(found, compute(_block({"COIN": 1.0}), right, names, FEW), rel=1e-9)


def test_the_instrument_of_a_measure_that_is_held_is_part_of_the_book():
    prices, days = _prices(), _days()
    book = BOOKS[-1]
    market = MarketArrays.of(_market(prices, days, CLOSED))
    right = MarketArrays.of(_on_common(book, prices, days, CLOSED))

    _same(
        compute(_block(book), market, OF_ONE, FEW),
        compute(_block(book), right, OF_ONE, FEW),
        rel=1e-9,
    )


def test_contributions_add_up_and_outcomes_are_those_of_the_market():
    prices, days = _prices(), _days()
    market = MarketArrays.of(_market(prices, days, CLOSED))
    block, (name,) = _block(*BOOKS), parse_measures(["value_at_risk"])

    total = compute(block, market, [name], FEW)[name].values[4]
    parts = contributions(block, market, name, FEW, 4)
    ((at, pnl),) = outcomes_behind(block, market, name, FEW, 4, 1)

    assert parts.sum() == pytest.approx(total, rel=1e-12)
    assert pnl == pytest.approx(-total, rel=1e-12)
    common = _on_common(BOOKS[4], prices, days, CLOSED)
    values = np.array([1.0, 3.0, 2.0]) * prices[-1]
    worst = int(np.argmin(np.abs(common.returns @ values - pnl)))
    assert market.dates[at].item() == common.dates[worst]


def test_a_backtest_names_days_of_the_market():
    prices, days = _prices(), _days()
    market = MarketArrays.of(_market(prices, days, CLOSED))
    right = MarketArrays.of(_on_common({"US": 1.0}, prices, days, CLOSED))

    found = rolling_backtest(_block({"US": 1.0}), market, "0.9", window=20)
    expected = rolling_backtest(_block({"US": 1.0}), right, "0.9", window=20)

    assert found.exceptions
    assert [market.dates[day - 1] for day in found.exceptions] == [
        right.dates[day - 1] for day in expected.exceptions
    ]


def test_headroom_is_that_of_the_common_dates():
    prices, days = _prices(), _days()
    book = {"US": 1.0, "JP": 3.0}
    market = MarketArrays.of(_market(prices, days, CLOSED))
    right = MarketArrays.of(_on_common(book, prices, days, CLOSED))
    bounds = [(name, Comparison.ABOVE, 50.0) for name in parse_measures(["volatility"])]

    found = largest_trades(_block(book), market, FEW, bounds)

    np.testing.assert_allclose(found, largest_trades(_block(book), right, FEW, bounds), rtol=1e-9)


def test_headroom_of_a_position_worth_nothing_is_on_the_days_of_that_position():
    prices, days = _prices(), _days()
    market = MarketArrays.of(_market(prices, days, CLOSED))
    right = MarketArrays.of(_on_common({"US": 1.0, "COIN": 1.0}, prices, days, CLOSED))
    book = {"COIN": 1.0, "US": 0.0}
    bounds = [(name, Comparison.ABOVE, 50.0) for name in parse_measures(["volatility"])]

    found = largest_trades(_block(book), market, FEW, bounds)
    expected = largest_trades(_block(book), right, FEW, bounds)

    np.testing.assert_allclose(found[:, [1, 3]], expected[:, [1, 3]], rtol=1e-9)


def test_a_window_is_the_last_common_rows():
    prices, days = _prices(), _days()
    market = MarketArrays.of(_market(prices, days, CLOSED, window_days=30))
    for book in BOOKS:
        whole = _on_common(book, prices, days, CLOSED)
        right = replace(whole, returns=whole.returns[-30:], dates=whole.dates[-30:])

        found = compute(_block(book), market, PAST, FEW)

        _same(found, compute(_block(book), MarketArrays.of(right), PAST, FEW), rel=1e-9)
        assert expected_outcomes(_block(book), market, FEW).tolist() == [30]


def test_a_long_gap_is_dropped_counted_and_named():
    prices, days = _prices(), _days()
    closed = CLOSED.copy()
    closed[40:55, 0] = True
    market = MarketArrays.of(_market(prices, days, closed))
    block, names = _block({"US": 1.0}, {"COIN": 1.0}), parse_measures(["volatility"])

    found = compute(block, market, names, FEW)[names[0]]

    rows = np.flatnonzero(~closed[:, 0])
    returns = prices[rows[1:], 0] / prices[rows[:-1], 0] - 1.0
    short = np.diff(rows) <= 10
    assert (~short).sum() == 1
    right = prices[-1, 0] * np.std(returns[short], ddof=1)
    assert found.values[0] == pytest.approx(right, rel=1e-12)
    assert found.n_observations[0] == short.sum()
    findings = dropped_rows(block, market)
    assert list(findings) == [0]
    (dropped,) = findings[0]
    assert dropped.kind == "dropped_rows"
    assert dropped.detail.startswith("1 returns over more than 10 days")


def test_a_young_instrument_has_no_return_before_its_first_price():
    """Its first price is on a weekend: the return to Monday is not one from Friday."""
    prices, days = _prices(), _days()
    closed = CLOSED.copy()
    saturday = next(d for d in range(30, N) if days[d].weekday() == 5)
    closed[:saturday, 2] = True
    market = MarketArrays.of(_market(prices, days, closed))
    names = parse_measures(["volatility"])

    found = compute(_block({"US": 1.0, "COIN": 1.0}), market, names, FEW)[names[0]]

    common = np.flatnonzero(~closed[:, [0, 2]].any(axis=1))
    assert found.n_observations[0] == len(common) - 1
    assert expected_outcomes(_block({"US": 1.0, "COIN": 1.0}), market, FEW)[0] == (
        (~closed[1:, 0]).sum()
    )


def test_a_replay_has_the_returns_of_each_instrument_over_the_window():
    prices, days = _prices(), _days()
    start = next(d for d in range(20, N) if days[d].weekday() == 5)
    replay = Replay(days[start], days[start + 4])
    market = MarketArrays.of(_market(prices, days, CLOSED, scenarios={"past": replay}))

    change = market.scenarios["past"].change

    for i, name in enumerate(NAMES):
        before = np.flatnonzero(~CLOSED[:start, i])[-1]
        last = np.flatnonzero(~CLOSED[: start + 5, i])[-1]
        right = prices[last, i] / prices[before, i] - 1.0
        assert change[i] == pytest.approx(right, rel=1e-9), name


def test_a_replay_does_not_cover_what_never_trades_in_its_window():
    prices, days = _prices(), _days()
    start = next(d for d in range(20, N) if days[d].weekday() == 5)
    replay = Replay(days[start], days[start + 1])
    market = MarketArrays.of(_market(prices, days, CLOSED, scenarios={"past": replay}))

    assert np.isnan(market.scenarios["past"].change).tolist() == [True, True, False]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.3))
def test_any_closed_days_give_the_numbers_of_the_common_dates(seed, share):
    rng = np.random.default_rng(seed)
    prices, days = _prices(seed), _days()
    closed = rng.random((N + 1, 3)) < share * rng.random(3)
    closed[[0, -1]] = False
    market = MarketArrays.of(_market(prices, days, closed, max_gap_days=None))
    names = parse_measures(["value_at_risk", "volatility", "ewma_volatility"])

    found = compute(_block(*BOOKS), market, names, FEW)

    for row, book in enumerate(BOOKS):
        right = MarketArrays.of(_on_common(book, prices, days, closed))
        mine = {name: _row(column, row) for name, column in found.items()}
        _same(mine, compute(_block(book), right, names, FEW), rel=1e-9)
