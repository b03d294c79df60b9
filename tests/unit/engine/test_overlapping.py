"""Risk of several days from sums of past P&L, `horizon_rule="overlapping"`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how_many

from risk_tasks.engine import MarketArrays, compute, contributions
from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings, Precision
from tests.unit.engine.books import (
    ALL,
    NAN,
    QUALIFIED,
    Book,
    World,
    bits,
    panel_of,
    settings,
    worlds,
)

EVERYTHING = ALL + QUALIFIED
REFUSED = (
    "value_at_risk_lower",
    "value_at_risk_upper",
    "ewma_volatility",
    "filtered_value_at_risk",
    "shrunk_volatility",
)


def over(days, confidence="0.5", **more):
    return MeasureSettings(confidence, days, horizon_rule="overlapping", **more)


def outcome_of(world, name, options):
    """Return the outcome of the measure of the first book."""
    name = MeasureName.parse(name)
    return Outcome(compute(world.block, world.market, [name], options)[name].outcomes[0])


@how_many(max_examples=30)
@given(worlds(min_books=1), settings)
def test_over_one_day_both_rules_have_the_same_bits(world, settings):
    """There are no sums, and no scaling."""
    settings = replace(settings, horizon_days=1)
    found = [
        compute(world.block, world.market, EVERYTHING, replace(settings, horizon_rule=rule))
        for rule in ("sqrt_time", "overlapping")
    ]

    for row in range(len(world.books)):
        assert bits(found[0], row) == bits(found[1], row)


def test_measures_of_sums_by_hand():
    """P&L of 1, -3, -1, 2, 4 has the two-day sums -2, -4, 1, 6, which are not scaled."""
    world = World([Book([(0, 8.0)])], [1.0], [[0.125, -0.375, -0.125, 0.25, 0.5]])
    names = [MeasureName(of) for of in ("value_at_risk", "expected_shortfall", "volatility")]

    columns = compute(world.block, world.market, names, over(2))

    found = [column.values[0] for column in columns.values()]
    assert found == [4.0 - 2.0, 3.0, np.std([-2, -4, 1, 6], ddof=1)]
    parts = contributions(world.block, world.market, names[0], over(2), 0)
    assert parts.tolist() == [2.0]


def test_a_missing_return_makes_each_of_its_sums_missing():
    """Of six days without the third, three sums of two days are complete."""
    world = World([Book([(0, 8.0)])], [1.0], [[-0.5, 0.25, NAN, 0.125, -0.125, -0.25]])
    name = MeasureName("value_at_risk")

    column = compute(world.block, world.market, [name], over(2))[name]

    # Sums -2, 0, -3: the second worst.
    assert column.values.tolist() == [2.0]


WINDOWS = [
    # h + 1 / alpha days for a tail, two sums without a common day for a spread
    ("value_at_risk", "0.9", 5, 14, Outcome.WINDOW_TOO_SHORT),
    ("value_at_risk", "0.9", 5, 15, Outcome.OK),
    ("expected_shortfall", "0.9", 5, 14, Outcome.WINDOW_TOO_SHORT),
    ("expected_shortfall", "0.9", 5, 15, Outcome.OK),
    ("age_weighted_value_at_risk", "0.9", 5, 14, Outcome.WINDOW_TOO_SHORT),
    ("component_expected_shortfall:I0", "0.9", 5, 14, Outcome.WINDOW_TOO_SHORT),
    ("component_expected_shortfall:I0", "0.9", 5, 15, Outcome.OK),
    ("volatility", "0.9", 5, 9, Outcome.WINDOW_TOO_SHORT),
    ("volatility", "0.9", 5, 10, Outcome.OK),
    ("marginal_value_at_risk:I0", "0.9", 5, 9, Outcome.WINDOW_TOO_SHORT),
    ("marginal_value_at_risk:I0", "0.9", 5, 10, Outcome.OK),
    ("volatility", "0.9", 1000, 12, Outcome.WINDOW_TOO_SHORT),
    ("value_at_risk", "0.9", 12, 11, Outcome.WINDOW_TOO_SHORT),
]


@pytest.mark.parametrize(("name", "confidence", "days", "n", "expected"), WINDOWS)
def test_a_horizon_needs_a_longer_window(name, confidence, days, n, expected):
    """`n` days are enough, and one day less is not."""
    steps = [(-1) ** t * (t + 1) / 1024 for t in range(n)]
    world = World([Book([(0, 8.0)])], [1.0], [[step - 0.125 for step in steps]])

    assert outcome_of(world, name, over(days, confidence)) is expected


@pytest.mark.parametrize("name", REFUSED)
def test_measures_that_need_disjoint_outcomes_are_undefined(name):
    """An empty book has a risk of 0 in either rule."""
    world = World([Book([(0, 8.0)])], [1.0], panel_of(5, (1, 40), 0.0))
    empty = replace(world, books=[Book([])])

    assert outcome_of(world, name, over(2)) is Outcome.OVERLAPPING
    assert outcome_of(empty, name, over(2)) is Outcome.OK
    assert outcome_of(world, name, over(1, "0.5")) is not Outcome.OVERLAPPING


def test_a_sum_that_overflows_is_not_finite():
    """Each day can be squared, but the sum cannot."""
    world = World([Book([(0, 1e149)])], [1.0], [[0.9] * 40])

    assert outcome_of(world, "volatility", over(1)) is Outcome.OK
    assert outcome_of(world, "volatility", over(15)) is Outcome.NOT_FINITE


def test_summed_panels_are_made_once_and_shared_with_new_prices():
    """The four most recently used are kept; the one-day panel is that of the market."""
    world = World([], [1.0, 2.0], panel_of(5, (2, 30), 0.0))
    first = world.market
    again = MarketArrays.of(world.snapshot, like=first)
    made = {days: first.panel_for(over(days)) for days in (2, 3, 4, 5)}

    assert first.panel_for(over(1)) is first.panel
    assert all(again.panel_for(over(days)) is panel for days, panel in made.items())

    assert again.panel_for(over(2)) is made[2]
    rounded = first.panel_for(over(2, precision=Precision.FLOAT32))
    assert rounded.dtype == np.float32
    assert rounded.tolist() == made[2].astype(np.float32).tolist()
    assert first.panel_for(over(2)) is made[2]
    # The least recently used when the fifth was made.
    assert first.panel_for(over(3)) is not made[3]
    assert first.panel_for(over(3)).tolist() == made[3].tolist()


@pytest.mark.parametrize("days", [2, 3, 7, 10, 29, 30, 31, 1000])
def test_a_panel_is_summed_as_numpy_sums_its_windows(days):
    """The array is contiguous; it is empty if the horizon is longer than the window."""
    panel = np.array(panel_of(5, (2, 30), 0.02))
    market = World([], [1.0, 2.0], panel.tolist()).market

    found = market.panel_for(over(days))

    assert found.flags.c_contiguous
    if days > 30:
        assert found.shape == (2, 0)
        return
    windows = np.lib.stride_tricks.sliding_window_view(panel, days, axis=1)
    np.testing.assert_allclose(found, windows.sum(axis=2), rtol=0, atol=1e-14)
