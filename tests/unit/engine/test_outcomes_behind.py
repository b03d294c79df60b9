"""The past outcomes that determine a measure, against the naive P&L."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from risk_tasks.engine import compute, outcomes_behind
from risk_tasks.model.measures import MeasureName, tail_rank
from risk_tasks.model.registry import MEASURES
from tests.reference import exposure, scenario
from tests.unit.engine.books import over_the_horizon, root_of_time, settings, worlds


def pnl_of(world, book, chosen):
    """Return the P&L of each complete outcome, by the index of its last day."""
    summed = over_the_horizon(world, chosen)
    pnl = scenario.profit_and_loss(world.values(book), summed.panel, summed.n_observations)
    return {at + chosen.outcome_days - 1: p for at, p in enumerate(pnl) if p is not None}


@given(worlds(min_books=1), settings)
def test_the_value_at_risk_is_the_loss_of_its_outcomes(world, chosen):
    """It is the loss of one outcome, or between those of two."""
    name = MeasureName("value_at_risk")
    column = compute(world.block, world.market, [name], chosen)[name]
    for row, book in enumerate(world.books):
        if not column.has_value[row]:
            continue
        pnl, size = pnl_of(world, book, chosen), exposure.gross_exposure(world.values(book))
        found = outcomes_behind(world.block, world.market, name, chosen, row, 5)
        assert 1 <= len(found) <= 2
        for at, value in found:
            assert math.isclose(value, pnl[at], abs_tol=1e-9 * size)
        low, high = (pick(-value for _, value in found) for pick in (min, max))
        unscaled = column.values[row] / root_of_time(chosen)
        assert low - 1e-9 * size <= unscaled <= high + 1e-9 * size


@given(worlds(min_books=1), settings)
def test_the_expected_shortfall_is_the_mean_of_its_outcomes(world, chosen):
    """The result has at most the requested number, the worst first, ties by time."""
    name = MeasureName("expected_shortfall", confidence="0.75")
    column = compute(world.block, world.market, [name], chosen)[name]
    for row, book in enumerate(world.books):
        if not column.has_value[row]:
            continue
        pnl, size = pnl_of(world, book, chosen), exposure.gross_exposure(world.values(book))
        found = outcomes_behind(world.block, world.market, name, chosen, row, 3)
        assert len(found) == min(3, tail_rank(len(pnl), "0.75"))
        worst = sorted(pnl.values())[: len(found)]
        for (at, value), expected in zip(found, worst, strict=True):
            assert math.isclose(value, expected, abs_tol=1e-9 * size)
            assert math.isclose(value, pnl[at], abs_tol=1e-9 * size)


@pytest.mark.parametrize("name", sorted(set(MEASURES) - {"value_at_risk", "expected_shortfall"}))
def test_other_measures_have_no_single_outcomes(name):
    """The list is empty."""
    assert outcomes_behind(None, None, MeasureName(name), None, 0, 5) == []
