"""The guarantees of `precision="float32"`: error bounds, and measures that do not change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given

from risk_tasks.engine import compute, contributions
from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings, Precision
from tests.reference.measures import OF_HISTORY
from tests.unit.engine.books import (
    ALL,
    OF_PAST,
    Book,
    World,
    bits,
    over_the_horizon,
    panel_of,
    reach_of,
    settings,
    worlds,
)

#: half a unit in the last place of a float32
ROUNDING = 2.0**-24
#: rounding of the sums in float64
SLACK = 1e-12


def bound_of(name: MeasureName, gross, largest, settings: MeasureSettings, n):
    """Return the error bound of a measure of the past, as in docs/reference/measures.md."""
    moved = OF_HISTORY[name.name].moved_by(n, str(settings.confidence), settings)
    scale = gross * reach_of(settings)
    return (ROUNDING * largest * moved + SLACK) * scale + 1e-300


@given(worlds(min_observations=2), settings)
def test_a_measure_of_the_past_is_within_its_documented_bound(world, settings):
    """All other measures have equal bits."""
    block, market = world.block, world.market
    exact = compute(block, market, ALL, settings)
    rounded = compute(block, market, ALL, replace(settings, precision=Precision.FLOAT32))

    gross = exact[MeasureName("gross_exposure")].values
    world = over_the_horizon(world, settings)
    for name, column in exact.items():
        if name.name in OF_PAST - set(OF_HISTORY):
            continue
        if name.name not in OF_PAST:
            np.testing.assert_array_equal(rounded[name].values, column.values)
            continue
        if OF_HISTORY[name.name].moved_by is None:
            continue
        has = column.has_value
        np.testing.assert_array_equal(rounded[name].has_value, has)
        for row in np.flatnonzero(has):
            n = sum(returns_seen(world, world.books[row]))
            bound = bound_of(name, gross[row], market.largest_return, settings, n)
            assert abs(rounded[name].values[row] - column.values[row]) <= bound


@given(worlds(), settings)
def test_a_measure_without_a_bound_is_that_of_the_rounded_returns(world, settings):
    """The bits are equal, because float32 returns are summed in float64."""
    settings = replace(settings, horizon_rule="sqrt_time")
    names = [name for name in ALL if name.name in OF_HISTORY]
    names = [name for name in names if OF_HISTORY[name.name].moved_by is None]
    panel = np.array(world.panel).astype(np.float32).astype(np.float64).tolist()
    beforehand = compute(world.block, replace(world, panel=panel).market, names, settings)
    rounded = compute(
        world.block, world.market, names, replace(settings, precision=Precision.FLOAT32)
    )

    assert names
    for row in range(len(world.books)):
        assert bits(rounded, row) == bits(beforehand, row)


def returns_seen(world: World, book: Book) -> list[bool]:
    """Return for each observation whether every held instrument has a return."""
    held = [i for i, value in world.values(book) if value]
    return [
        not any(math.isnan(world.panel[i][t]) for i in held) for t in range(world.n_observations)
    ]


def test_float32_uses_another_panel_than_float64():
    """Otherwise the tests of the bounds would prove nothing."""
    world = World([Book([(0, 1.0)])], [1.0], [[0.1, -0.3, 0.2, -0.7]])
    name = MeasureName("value_at_risk")
    values = {
        precision: compute(
            world.block, world.market, [name], MeasureSettings("0.75", precision=precision)
        )[name].values[0]
        for precision in Precision
    }

    assert values[Precision.FLOAT64] == 0.7
    assert values[Precision.FLOAT32] == float(np.float32(0.7))


@given(worlds(gaps=False, min_books=1, min_observations=4), settings)
def test_contributions_sum_to_the_measure_that_was_rounded(world, settings):
    """So the explanation of a breach adds up to the measure in the breach."""
    settings = replace(settings, precision=Precision.FLOAT32, confidence="0.75")
    block, market, name = world.block, world.market, MeasureName("expected_shortfall")
    column = compute(block, market, [name], settings)[name]
    assume(column.has_value[0])
    parts = contributions(block, market, name, settings, 0)

    scale = np.abs(parts).sum() + 1.0
    assert parts.sum() == pytest.approx(column.values[0], abs=1e-12 * scale)


def test_a_return_beyond_float32_is_not_finite_instead_of_missing():
    """All portfolios of the market are refused, to be safe."""
    panel = [[0.1, 1e39, -0.1, 0.2], [0.1, 0.2, 0.3, -0.4]]
    world = World([Book([(0, 1.0)]), Book([(1, 1.0)])], [1.0, 1.0], panel)
    name = MeasureName("volatility")
    column = compute(world.block, world.market, [name], MeasureSettings(precision="float32"))[name]

    assert [Outcome(code) for code in column.outcomes] == [Outcome.NOT_FINITE] * 2
    assert np.isnan(column.values).all()


def test_new_prices_share_the_rounded_panel():
    """The market of the new prices has the same array."""
    world = World([], [1.0, 2.0], panel_of(5, (2, 30), 0.0))
    first = world.market
    float32 = MeasureSettings(precision=Precision.FLOAT32)
    rounded = first.panel_for(float32)
    again = type(first).of(world.snapshot, like=first)

    assert again.panel_for(float32) is rounded
    assert rounded.dtype == np.float32
