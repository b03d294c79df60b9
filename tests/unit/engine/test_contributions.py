"""Contributions of positions to a measure."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as how_many
from hypothesis import strategies as st

from risk_tasks.engine import compute, contributions
from risk_tasks.model.measures import MeasureName, MeasureSettings
from tests.reference import exposure, scenario, tail
from tests.unit.engine.books import (
    ALL,
    QUALIFIED,
    Book,
    World,
    block_of,
    reach_of,
    settings,
    worlds,
)

#: instruments that are not held have a marginal VaR; a beta on constant returns is rounding
UNSHARED = {"marginal_value_at_risk", "beta"}
# Exact or nearly exact in every market.
eighths = st.integers(-80, 80).map(lambda parts: parts / 8)
quarters = st.integers(1, 40).map(lambda parts: parts / 4)


@given(worlds(min_books=1, min_observations=2), settings)
def test_parts_add_up_to_the_measure(world, settings):
    """They add up within 1e-9 of the book; the shares of `concentration` add up to 1."""
    market, block = world.market, world.block
    columns = compute(block, market, ALL + QUALIFIED, settings)

    for name, column in columns.items():
        for row, book in enumerate(world.books):
            gross = exposure.gross_exposure(world.values(book))
            if not column.has_value[row] or not gross or name.name in UNSHARED:
                continue
            whole = 1.0 if name.name == "concentration" else column.values[row]
            scale = gross * reach_of(settings)
            if name.definition.unit != "ccy":
                scale = 1.0 + abs(whole)

            parts = contributions(block, market, name, settings, row)

            assert parts.shape == (len(book.positions),), str(name)
            assert abs(parts.sum() - whole) <= 1e-9 * scale + 1e-300, str(name)


@given(worlds(min_books=1, min_observations=2, quantity=eighths, price=quarters), settings)
def test_parts_of_risk_agree_with_their_references(world, settings):
    """The references compute covariance shares, and losses in the scenarios of the tail."""
    settings = MeasureSettings(settings.confidence, settings.horizon_days)
    names = [MeasureName(of) for of in ("volatility", "value_at_risk", "expected_shortfall")]
    market, block, n = world.market, world.block, world.n_observations
    columns = compute(block, market, names, settings)
    root = math.sqrt(settings.horizon_days)

    for name in names:
        for row, book in enumerate(world.books):
            if not columns[name].is_ok[row]:
                continue
            values = world.values(book)
            reference = getattr(tail, f"{name.name}_contributions")
            level = () if name.name == "volatility" else (settings.confidence,)
            expected = np.array(reference(values, world.panel, n, *level)) * root
            assume(not _is_almost_tied(world, book))

            parts = contributions(block, market, name, settings, row)

            scale = exposure.gross_exposure(values) * root
            np.testing.assert_allclose(parts, expected, rtol=0, atol=1e-9 * scale + 1e-300)


def _is_almost_tied(world, book):
    """Whether two outcomes differ by rounding only, so that their order is not certain."""
    pnl = sorted(p for p in _profits(world, book) if p is not None)
    size = exposure.gross_exposure(world.values(book))
    return any(0 < b - a <= 1e-12 * size for a, b in pairwise(pnl))


def _profits(world, book):
    return scenario.profit_and_loss(world.values(book), world.panel, world.n_observations)


@how_many(max_examples=30)
@given(worlds(min_books=1), settings)
def test_parts_of_exposures_are_those_of_each_position(world, settings):
    """Exposures, concentration and leverage have the parts of their formulas."""
    market, block = world.market, world.block
    for row, book in enumerate(world.books):
        values = np.array([value for _, value in world.values(book)])
        gross = exposure.gross_exposure(world.values(book))
        expected = {
            "market_value": values,
            "gross_exposure": abs(values),
            "net_exposure": values,
            "long_exposure": np.where(values > 0, values, 0.0),
            "short_exposure": np.where(values < 0, -values, 0.0),
        }
        if gross:
            expected["concentration"] = abs(values) / gross
            expected["herfindahl"] = (values / gross) ** 2
        if book.nav is not None and book.nav > 0:
            with np.errstate(over="ignore"):
                expected["gross_leverage"] = abs(values) / book.nav
        for name, parts in expected.items():
            found = contributions(block, market, MeasureName(name), settings, row)

            np.testing.assert_allclose(found, parts, rtol=1e-12, atol=1e-300)


SHOCKS = ({0: -0.5, 1: 0.25}, -0.125)


def test_parts_of_a_stress_are_the_losses_of_each_position():
    """A short position has the negative part of the same long one; a position of 0 has 0."""
    book = Book([(0, 8.0), (1, -8.0), (2, 16.0), (3, 0.0)])
    world = World([Book([]), book], [1.0] * 4, [[]] * 4, {"fall": SHOCKS})
    name = MeasureName("stress_loss", item="fall")

    parts = contributions(world.block, world.market, name, MeasureSettings(), 1)

    assert parts.tolist() == [4.0, 2.0, 2.0, 0.0]


def test_a_position_worth_0_without_a_shock_contributes_0():
    """The missing shock, NaN, is not multiplied by 0."""
    world = World([Book([(0, 8.0), (1, 0.0)])], [1.0, 1.0], [[], []], {"fall": ({0: -0.5}, None)})
    name = MeasureName("stress_loss", item="fall")

    parts = contributions(world.block, world.market, name, MeasureSettings(), 0)

    assert parts.tolist() == [4.0, 0.0]


SPREADS = [
    "volatility",
    "parametric_value_at_risk",
    "student_value_at_risk",
    "student_expected_shortfall",
    "semi_deviation",
]


@pytest.mark.parametrize("name", SPREADS)
def test_a_book_without_variance_has_contributions_of_0(name):
    """There is no division by a standard deviation of 0."""
    world = World([Book([(0, 8.0), (1, 8.0)])], [1.0, 1.0], [[0.25, 0.25], [0.5, 0.5]])

    parts = contributions(world.block, world.market, MeasureName(name), MeasureSettings(), 0)

    assert parts.tolist() == [0.0, 0.0]


def test_a_book_worth_0_has_ewma_contributions_of_0():
    """The EWMA mean is 0, so constant P&L has a volatility unless it is 0."""
    world = World([Book([(0, 8.0), (1, 8.0)])], [1.0, 1.0], [[0.0, 0.0], [0.0, 0.0]])
    name = MeasureName("ewma_volatility")

    parts = contributions(world.block, world.market, name, MeasureSettings(), 0)

    assert parts.tolist() == [0.0, 0.0]


def test_parts_are_those_of_the_portfolio_at_the_place():
    """They do not depend on other portfolios in the block."""
    books = [Book([(0, 1.0)]), Book([(1, 2.0), (0, 3.0)]), Book([])]
    world = World(books, [10.0, 20.0], [[], []])
    name, settings = MeasureName("market_value"), MeasureSettings()

    found = [
        contributions(block_of(books), world.market, name, settings, row).tolist()
        for row in range(3)
    ]

    assert found == [[10.0], [40.0, 30.0], []]


def test_parts_of_the_worst_stress_are_those_of_the_worst_scenario():
    """Each book has its own worst scenario."""
    scenarios = {"fall": ({0: -0.5}, 0.0), "rise": ({0: 0.25}, 0.0)}
    world = World([Book([(0, 8.0)]), Book([(0, -8.0)])], [1.0], [[]], scenarios)
    name = MeasureName("worst_stress_loss")

    column = compute(world.block, world.market, [name], MeasureSettings())[name]
    parts = [
        contributions(world.block, world.market, name, MeasureSettings(), row) for row in (0, 1)
    ]

    assert column.values.tolist() == [4.0, 2.0]
    assert [part.tolist() for part in parts] == [[4.0], [2.0]]


def test_parts_of_a_beta_are_the_slopes_of_each_position():
    """Slopes are on the returns of the reference instrument, divided by the value of the book."""
    steps = [0.25, -0.5, 0.125, 0.5]
    panel = [steps, [2 * step for step in steps], [0.5, 0.5, -0.5, 0.5]]
    world = World([Book([(0, 8.0), (1, -2.0)], nav=16.0)], [1.0] * 3, panel)
    name = MeasureName("beta", item="I0")

    column = compute(world.block, world.market, [name], MeasureSettings())[name]
    parts = contributions(world.block, world.market, name, MeasureSettings(), 0)

    np.testing.assert_allclose(parts, [0.5, -0.25], rtol=1e-12)
    np.testing.assert_allclose(column.values, [0.25], rtol=1e-12)
