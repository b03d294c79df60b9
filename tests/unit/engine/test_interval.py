"""The interval of a historical VaR: its ranks and its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.decisions import evaluate
from risk_tasks.engine import compute, contributions
from risk_tasks.engine.history import lower_rank, upper_rank
from risk_tasks.model.column import Outcome
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings
from tests.reference import rank
from tests.unit.engine.books import Book, World, panel_of, settings, worlds

NAMES = [MeasureName(f"value_at_risk{end}") for end in ("_lower", "", "_upper")]

# n, confidence, ranks of the larger and of the smaller loss
TABLE = [
    (250, "0.99", 0, 7),
    (500, "0.99", 1, 11),
    (1000, "0.99", 4, 18),
    (250, "0.95", 6, 21),
    # By hand: P(X <= 0) = 0.99^n is below 0.025 from n = 368 on.
    (367, "0.99", 0, 9),
    (368, "0.99", 1, 9),
]


@pytest.mark.parametrize(("n", "confidence", "larger", "smaller"), TABLE)
def test_the_ranks_are_those_of_the_table(n, confidence, larger, smaller):
    """The exact reference agrees; a 99 % VaR of 250 days has no upper bound."""
    assert (upper_rank(n, confidence), lower_rank(n, confidence)) == (larger, smaller)
    assert rank.interval(n, confidence) == (larger, smaller)


@given(st.integers(1, 300), st.integers(1, 999).map(lambda parts: f"0.{parts:03}"))
def test_the_ranks_are_those_of_exact_arithmetic(n, confidence):
    """The incomplete beta function in floats gives the same ranks as fractions."""
    assert (upper_rank(n, confidence), lower_rank(n, confidence)) == rank.interval(n, confidence)


@given(worlds(min_books=1, min_observations=2), settings)
def test_the_value_at_risk_lies_in_its_interval(world, settings):
    """This holds in every convention; an open end has no value."""
    lower, var, upper = compute(world.block, world.market, NAMES, settings).values()

    both = var.has_value & lower.has_value
    assert (lower.values[both] <= var.values[both]).all()
    both = var.has_value & upper.has_value
    # An interpolation between two losses may round to more than the larger one.
    assert (var.values[both] <= upper.values[both] + 1e-15 * abs(upper.values[both])).all()
    assert (lower.has_value | upper.has_value <= var.has_value).all()


def year(*books):
    """Return a book of two instruments over 250 days, worth 1."""
    return World(list(books), [1.0, 1.0], panel_of(3, (2, 250), 0.0))


def test_an_unbounded_end_is_undefined_and_a_limit_on_it_rejects():
    """Both ends are 0 for an empty book."""
    world = year(Book([(0, 8.0)]), Book([]), Book([(0, 0.0)]))
    name = NAMES[2]
    columns = compute(world.block, world.market, [name], MeasureSettings())
    limits = LimitSet("desk", [Limit("value_at_risk_upper", hard=1e9)])

    found = evaluate(limits, columns, np.ones(3, dtype=bool), ["a", "b", "c"], [{}] * 3)

    assert [Outcome(o) for o in columns[name].outcomes] == [Outcome.OPEN_ENDED, 0, 0]
    np.testing.assert_array_equal(columns[name].values, [np.nan, 0.0, 0.0])
    assert [(gap.row, gap.reason) for gap in found.gaps] == [(0, "open_ended")]
    assert found.gravity.tolist()[0] > found.gravity.tolist()[1]


def test_a_limit_on_the_upper_bound_is_evaluated():
    """The upper bound breaks the limit, although the VaR does not."""
    world = year(Book([(0, 8.0)]))
    names = [MeasureName.parse(f"value_at_risk{end}@0.95") for end in ("", "_upper")]
    columns = compute(world.block, world.market, names, MeasureSettings())
    var, upper = (columns[name].values[0] for name in names)
    between = (var + upper) / 2
    limits = LimitSet("desk", [Limit(str(name), hard=between) for name in names])

    found = evaluate(limits, columns, np.ones(1, dtype=bool), ["a"], [{}])

    assert [breach.limit.measure for breach in found.breaches] == ["value_at_risk_upper@0.95"]


@pytest.mark.parametrize(("end", "place"), [("lower", 20), ("upper", 5)])
def test_parts_of_a_bound_are_the_losses_in_its_scenario(end, place):
    """At 0.95 and 250 days, the ends are the 21st and the 6th worst."""
    world = year(Book([(0, 8.0), (1, -3.0)]))
    name = MeasureName.parse(f"value_at_risk_{end}@0.95")
    panel = np.array(world.panel)
    day = np.argsort(8 * panel[0] - 3 * panel[1], kind="stable")[place]

    parts = contributions(world.block, world.market, name, MeasureSettings(), 0)

    np.testing.assert_allclose(parts, [-8 * panel[0][day], 3 * panel[1][day]], rtol=1e-15)
