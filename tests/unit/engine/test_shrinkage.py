"""Properties of the volatility by a shrunk covariance."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as how_many
from hypothesis import strategies as st

from risk_tasks.engine import compute, contributions
from risk_tasks.model.measures import MeasureName, MeasureSettings
from tests.unit.engine.books import NAN, Book, World, block_of, panel_of, worlds

NAME, ONE_DAY = MeasureName("shrunk_volatility"), MeasureSettings()


def spreads(world, books):
    """Return the bits of the shrunk volatility of each book."""
    return compute(block_of(books), world.market, [NAME], ONE_DAY)[NAME].values.tobytes()


@how_many(max_examples=30)
@given(worlds(min_books=1, min_observations=2), st.randoms(use_true_random=False))
def test_the_order_of_positions_changes_no_bit(world, random):
    """Sums are in the order of the market's instruments."""
    shuffled = [
        Book(random.sample(book.positions, len(book.positions)), book.cash, book.nav)
        for book in world.books
    ]

    assert spreads(world, shuffled) == spreads(world, world.books)


def test_positions_in_one_instrument_are_added():
    """Their parts sum to that of one position; positions that cancel count as not held."""
    world = World([], [1.0] * 3, [*panel_of(3, (2, 30), 0.0), [NAN] * 30])
    split = Book([(0, 8.0), (1, -4.0), (0, 24.0)])
    merged = Book([(0, 32.0), (1, -4.0)])

    assert spreads(world, [split]) == spreads(world, [merged])
    assert spreads(world, [Book([(0, 8.0), (0, -8.0), (1, 4.0)])]) == spreads(
        world, [Book([(1, 4.0)])]
    )
    parts = contributions(block_of([split]), world.market, NAME, ONE_DAY, 0)
    whole = contributions(block_of([merged]), world.market, NAME, ONE_DAY, 0)
    np.testing.assert_allclose(parts, [whole[0] / 4, whole[1], whole[0] * 3 / 4], rtol=1e-12)


def test_a_hedge_of_few_days_is_not_perfect():
    """Three days of equal returns of two instruments do not make the risk of a hedge 0."""
    steps = [0.25, -0.5, 0.125]
    world = World([Book([(0, 8.0), (1, -8.0)])], [1.0] * 2, [steps, steps])
    names = [MeasureName("volatility"), NAME]

    sampled, shrunk = compute(world.block, world.market, names, ONE_DAY).values()

    assert sampled.values[0] == 0.0
    assert shrunk.values[0] > 1.0


def test_tiny_and_huge_returns_shrink_alike():
    """Fourth powers do not underflow or overflow."""
    # Gains only: a return is not below -1.
    panel = np.abs(panel_of(4, (3, 20), 0.0))
    book = Book([(0, 8.0), (1, -4.0), (2, 2.0)])

    def spread(scale):
        world = World([book], [1.0] * 3, (panel * scale).tolist())
        return compute(world.block, world.market, [NAME], ONE_DAY)[NAME].values[0]

    for power in (-300, 300):
        np.testing.assert_allclose(spread(2.0**power) / 2.0**power, spread(1.0), rtol=1e-12)


def test_a_book_without_variance_has_contributions_of_0():
    """There is no division by a standard deviation of 0."""
    world = World([Book([(0, 8.0), (1, 8.0)])], [1.0, 1.0], [[0.25, 0.25], [0.5, 0.5]])

    assert contributions(world.block, world.market, NAME, ONE_DAY, 0).tolist() == [0.0, 0.0]
    assert compute(world.block, world.market, [NAME], ONE_DAY)[NAME].values.tolist() == [0.0]
