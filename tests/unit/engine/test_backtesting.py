"""Rolling backtests against reference implementations that compute day by day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.engine import compute
from risk_tasks.engine.backtesting import (
    check_history,
    check_window,
    rolling_backtest,
    rolling_value_at_risk,
)
from risk_tasks.errors import InvalidMarketError, InvalidPortfolioError, InvalidSettingsError
from risk_tasks.model.measures import (
    MeasureName,
    MeasureSettings,
    VarConvention,
    min_observations,
    tail_probability,
)
from tests.reference import backtest as naive
from tests.reference import scenario
from tests.unit.engine.books import NAN, Book, World, block_of, worlds

levels = st.sampled_from(["0.5", "0.6", "0.75", "0.8"])
conventions = st.sampled_from(list(VarConvention))
# Without rounding, so that no exception depends on the order of a sum.
eighths = st.integers(-80, 80).map(lambda parts: parts / 8)
quarters = st.integers(1, 40).map(lambda parts: parts / 4)


def world_of(returns, n_held=1):
    """Return a world of one book that has 1 of each of the first instruments, at a price of 1."""
    return World([Book([(i, 1.0) for i in range(n_held)])], [1.0] * len(returns), returns)


def rolled(world, confidence, **how):
    """Return the backtest of the only book."""
    return rolling_backtest(world.block, world.market, confidence, **how)


def rounded(world):
    """Return the same world with returns that are multiples of 1/64."""
    return replace(world, panel=(np.round(np.array(world.panel) * 64) / 64).tolist())


@given(
    worlds(min_books=1, min_observations=8, quantity=eighths, price=quarters).map(rounded),
    levels,
    # The reference interpolates in fractions: a tie there may differ by rounding in the engine.
    conventions.filter(lambda convention: convention is not VarConvention.LINEAR),
    st.integers(0, 4),
)
def test_a_rolling_backtest_agrees_with_its_reference(world, confidence, convention, longer):
    """P&L, VaR and exceptions agree for each day; both omit days with a missing return."""
    window, market = min_observations(confidence) + longer, world.market
    for row, book in enumerate(world.books):
        pnl = scenario.profit_and_loss(world.values(book), world.panel, world.n_observations)
        days = [t for t, value in enumerate(pnl) if value is not None]
        seen = [pnl[t] for t in days]
        arguments = (world.block.row(row), market, confidence)
        if len(days) <= window:
            with pytest.raises(InvalidMarketError):
                rolling_backtest(*arguments, window=window, convention=convention)
            continue
        bounds = naive.rolling_value_at_risk(seen, window, confidence, convention)
        record = naive.hits(seen[window:], bounds)
        hits = [days[window + t] for t, hit in enumerate(record) if hit]

        actual = rolling_backtest(*arguments, window=window, convention=convention)

        assert [world.n_observations - 1 + day for day in actual.exceptions] == hits
        assert (actual.n_observations, actual.n_exceptions) == (len(record), len(hits))
        assert actual.kupiec_lr == pytest.approx(
            naive.kupiec(record, tail_probability(confidence)), rel=1e-9, abs=1e-9
        )


@given(st.lists(st.floats(-1e6, 1e6), min_size=7, max_size=40), levels, conventions)
def test_rolling_var_agrees_with_its_reference(pnl, confidence, convention):
    """Windows have at least as many days as the tail requires."""
    for window in (min_observations(confidence), 6):
        expected = naive.rolling_value_at_risk(pnl, window, confidence, convention)

        actual = rolling_value_at_risk(np.array(pnl), window, confidence, convention)

        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-9)


@given(st.lists(st.floats(-1.0, 1e6), min_size=9, max_size=30), levels, conventions)
def test_the_var_of_a_day_is_the_measure_of_the_window_before_it(pnl, confidence, convention):
    """It has the bits of the measure in a check on the day before."""
    window = 6
    settings = MeasureSettings(confidence, var_convention=convention)
    name = MeasureName("value_at_risk")

    bounds = rolling_value_at_risk(np.array(pnl), window, confidence, convention)

    for place, bound in enumerate(bounds):
        before = world_of([pnl[place : place + window]])
        measured = compute(before.block, before.market, [name], settings)[name]
        assert measured.values[0] == bound


def test_the_loss_of_a_day_does_not_change_its_own_var():
    """A crash is an exception on its day, and raises the VaR of later days."""
    returns = [-0.01, 0.01] * 3 + [-0.5, -0.4, 0.0, 0.0]

    actual = rolled(world_of([returns]), "0.75", window=4)

    assert actual.exceptions == (-3,)
    assert actual.n_observations == 6


def test_the_backtest_uses_the_current_positions():
    """A short position has a gain on a day of falling prices, in today's price."""
    returns = [0.01, -0.01, 0.01, -0.01, 0.3, -0.6]
    world = world_of([returns])
    short = block_of([Book([(0, -2.0)])])

    assert rolled(world, "0.75", window=4).exceptions == (0,)
    assert rolling_backtest(short, world.market, "0.75", window=4).exceptions == (-1,)


def test_days_without_a_return_are_counted_and_not_tested():
    """Days keep their index in the market; only held instruments need returns."""
    returns = [-0.01, NAN, 0.01, -0.01, 0.01, NAN, -0.5, 0.0, NAN, 0.0]
    gaps = [NAN] * 10

    actual = rolled(world_of([returns, gaps]), "0.75", window=4)

    assert actual.exceptions == (-3,)
    assert actual.n_observations == 3


def test_a_book_without_positions_has_no_exception():
    """A loss of 0 is not greater than a VaR of 0."""
    world = World([Book([])], [1.0], [[0.1] * 12])

    actual = rolled(world, "0.75", window=4)

    assert (actual.n_observations, actual.n_exceptions, actual.zone) == (8, 0, "green")


def test_one_day_more_than_the_window_gives_one_day_of_record():
    """As many days as the window are too few."""
    returns = [0.0, -0.1, 0.1, 0.0, -0.2]

    assert rolled(world_of([returns]), "0.75", window=4).n_observations == 1
    with pytest.raises(InvalidMarketError) as refused:
        rolled(world_of([returns[1:]]), "0.75", window=4)
    assert refused.value.field == "returns"
    assert "needs 5 days of returns; there are 4" in refused.value.message


@pytest.mark.parametrize("window", [99, 0, -1, 250.0, True, "250", None])
def test_a_window_that_is_too_short_for_the_tail_is_refused(window):
    """A measure of that window is `window_too_short`."""
    with pytest.raises(InvalidSettingsError) as refused:
        check_window(window, "0.99")

    assert refused.value.field == "window"
    assert "100 days" in refused.value.remedy
    check_window(100, "0.99")


def test_the_length_of_a_history_is_checked_first():
    """It is checked before any portfolio is computed."""
    check_history(251, 250)
    with pytest.raises(InvalidMarketError, match="251 days"):
        check_history(250, 250)


def test_pnl_too_large_for_a_double_is_refused():
    """It does not count as a missing return."""
    world = World([Book([(0, 1e200), (1, -1e200)])], [1e200, 1e200], [[0.1] * 9, [0.2] * 9])

    with pytest.raises(InvalidPortfolioError, match="too large"):
        rolled(world, "0.75", window=4)


def test_a_confidence_is_parsed_from_its_text():
    """An invalid confidence is refused."""
    world = world_of([[0.0, -0.1, 0.1, 0.0, -0.2, 0.1]])

    assert rolled(world, 0.75, window=4) == rolled(world, "0.750", window=4)
    with pytest.raises(InvalidSettingsError):
        rolled(world, "75", window=4)
