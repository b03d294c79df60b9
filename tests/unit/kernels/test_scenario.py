"""P&L over past returns, and losses under named shocks."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import scenario as naive
from tests.unit.kernels.blocks import (
    Block,
    assert_close,
    assert_same_bits,
    block_of,
    blocks,
    books_scale,
    moves,
    profits,
    stress_losses,
    with_books,
)

NAN = float("nan")
Shocks = tuple[dict[int, float], float | None]


@st.composite
def shocks(draw: st.DrawFn) -> Shocks:
    """Generate shocks of some of the first six instruments, and a shock or None for the others."""
    by_instrument = draw(st.dictionaries(st.integers(0, 5), moves))
    return by_instrument, draw(st.one_of(st.none(), moves))


def arrays_of(scenario: Shocks, n_instruments: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the shock of each instrument, NaN if it has no shock, and whether it is named."""
    by_instrument, others = scenario
    rest = NAN if others is None else others
    shock = [by_instrument.get(i, rest) for i in range(n_instruments)]
    named = [i in by_instrument for i in range(n_instruments)]
    return np.array(shock, dtype=np.float64), np.array(named, dtype=np.bool_)


@given(blocks())
def test_profit_and_loss_agrees_with_naive_sums(block: Block) -> None:
    """Each outcome is a sum over held positions; it is missing if one of their returns is."""
    expected = [
        naive.profit_and_loss(book, block.panel, block.n_observations) for book in block.books
    ]

    actual = profits(block)

    assert_close(actual, expected, books_scale(block)[:, None])


def test_missing_return_of_a_held_instrument_makes_the_observation_missing() -> None:
    """Other books and other observations are not affected."""
    panel = [[0.5, NAN], [0.25, 0.25]]
    block = block_of([[(0, 8.0), (1, 8.0)], [(1, 8.0)]], panel, 2)

    actual = profits(block)

    np.testing.assert_array_equal(actual, [[6.0, NAN], [2.0, 2.0]])


def test_zero_position_does_not_make_an_observation_missing() -> None:
    """A position worth exactly 0 is not held, so its missing return is ignored."""
    block = block_of([[(0, 0.0), (1, 8.0)], [(0, -0.0)]], [[NAN], [0.25]], 1)

    actual = profits(block)

    assert actual.tolist() == [[2.0], [0.0]]


def test_empty_book_has_a_pnl_of_0() -> None:
    """Missing returns do not matter."""
    block = block_of([[(0, 1.0)], []], [[NAN, 0.5]], 2)

    assert profits(block)[1].tolist() == [0.0, 0.0]


def test_panel_without_observations_has_no_outcomes() -> None:
    """The kernel accepts it."""
    block = block_of([[(0, 1.0)]], [[]], 0)

    assert profits(block).shape == (1, 0)


@given(blocks())
def test_a_sign_flip_negates_the_pnl(block: Block) -> None:
    """The negation is exact."""
    opposite = with_books(block, [[(i, -v) for i, v in book] for book in block.books])

    np.testing.assert_array_equal(profits(opposite), -profits(block))


@given(blocks(), st.floats(1e-3, 1e3))
def test_profit_and_loss_scales_with_the_book(block: Block, factor: float) -> None:
    """A book `factor` times as large has `factor` times the P&L."""
    larger = with_books(block, [[(i, factor * v) for i, v in book] for book in block.books])

    assert_close(profits(larger), factor * profits(block), factor * books_scale(block)[:, None])


@given(blocks(missing=False), st.data())
def test_profit_and_loss_of_split_books_adds_up(block: Block, data: st.DataObject) -> None:
    """The P&L of two halves of a book sums to that of the book."""
    cuts = [data.draw(st.integers(0, len(book))) for book in block.books]
    heads = with_books(block, [b[:cut] for b, cut in zip(block.books, cuts, strict=True)])
    tails = with_books(block, [b[cut:] for b, cut in zip(block.books, cuts, strict=True)])

    together = profits(heads) + profits(tails)

    assert_close(together, profits(block), books_scale(block)[:, None])


@given(blocks(), shocks(), st.randoms(use_true_random=False))
def test_order_of_positions_does_not_matter(block: Block, scenario: Shocks, random: Random) -> None:
    """A shuffled book has the same P&L, loss and number of named positions."""
    shock, named = arrays_of(scenario, len(block.panel))
    shuffled = with_books(block, [random.sample(book, len(book)) for book in block.books])

    loss, count = stress_losses(shuffled, shock, named)

    assert_close(profits(shuffled), profits(block), books_scale(block)[:, None])
    assert_close(loss, stress_losses(block, shock, named)[0], books_scale(block))
    np.testing.assert_array_equal(count, stress_losses(block, shock, named)[1])


@given(blocks(), shocks(), st.data())
def test_zero_position_changes_no_bit(block: Block, scenario: Shocks, data: st.DataObject) -> None:
    """The position is worth exactly 0, and its instrument has no returns and no shock."""
    zero = data.draw(st.sampled_from([0.0, -0.0]))
    absent = len(block.panel)
    widened = []
    for book in block.books:
        place = data.draw(st.integers(0, len(book)))
        widened.append([*book[:place], (absent, zero), *book[place:]])
    unchanged = block_of(
        widened, [*block.panel, [NAN] * block.n_observations], block.n_observations
    )
    shock, named = arrays_of(scenario, absent)
    loss, count = stress_losses(
        unchanged, np.append(shock, NAN), np.append(named, data.draw(st.booleans()))
    )

    assert_same_bits(profits(unchanged), profits(block))
    assert_same_bits(loss, stress_losses(block, shock, named)[0])
    assert_same_bits(count, stress_losses(block, shock, named)[1])


def test_zero_positions_among_many_change_no_bit() -> None:
    """The kernel adds held positions four at a time; positions of 0 do not shift the groups."""
    random = np.random.default_rng(1)
    book = [(i, float(v)) for i, v in enumerate(random.normal(0.0, 1e6, 11))]
    panel = [*random.normal(0.0, 0.01, (11, 50)).tolist(), [NAN] * 50]
    expected = profits(block_of([book], panel, 50))

    for place in range(len(book) + 1):
        for n_zeros in (1, 2, 5):
            widened = [*book[:place], *[(11, 0.0)] * n_zeros, *book[place:]]
            assert_same_bits(profits(block_of([widened], panel, 50)), expected)


@given(blocks(min_books=1), shocks(), st.lists(moves, max_size=1))
def test_portfolio_has_the_same_bits_alone_and_in_a_block(
    block: Block, scenario: Shocks, other: list[float]
) -> None:
    """Outcomes do not depend on other portfolios or on the row."""
    shock, named = arrays_of(scenario, len(block.panel))
    neighbour = [(0, value) for value in other]
    shifted = with_books(block, [neighbour, *block.books, neighbour])
    loss, count = stress_losses(shifted, shock, named)

    for p, book in enumerate(block.books):
        alone = with_books(block, [book])
        alone_loss, alone_count = stress_losses(alone, shock, named)
        assert_same_bits(profits(alone)[0], profits(shifted)[p + 1])
        assert_same_bits(alone_loss, loss[p + 1 : p + 2])
        assert_same_bits(alone_count, count[p + 1 : p + 2])


def test_portfolio_has_the_same_bits_in_a_block_of_real_size() -> None:
    """With a year of returns and twenty positions, the code is vectorised."""
    random = np.random.default_rng(20)
    panel = random.normal(0.0, 0.02, (30, 253))
    books = [
        [(int(i), float(random.normal(0.0, 1e6))) for i in random.permutation(30)[:size]]
        for size in (20, 0, 1, 17, 20, 3)
    ]
    block = block_of(books, panel.tolist(), 253)

    together = profits(block)

    for p, book in enumerate(books):
        assert_same_bits(profits(with_books(block, [book]))[0], together[p])


@given(blocks(), shocks())
def test_stress_loss_agrees_with_naive_sums(block: Block, scenario: Shocks) -> None:
    """It is the naive sum, and undefined if a held instrument has no shock."""
    shock, named = arrays_of(scenario, len(block.panel))
    expected = [naive.stress_loss(book, *scenario) for book in block.books]

    actual, _ = stress_losses(block, shock, named)

    assert_close(actual, expected, books_scale(block))


@given(blocks(), shocks())
def test_stress_loss_counts_held_instruments_that_are_named(block: Block, scenario: Shocks) -> None:
    """It counts the positions that are not 0 and that the scenario names."""
    shock, named = arrays_of(scenario, len(block.panel))
    expected = [sum(i in scenario[0] for i, _ in naive.held(book)) for book in block.books]

    _, actual = stress_losses(block, shock, named)

    assert actual.tolist() == expected


def test_stress_loss_of_a_long_book_in_a_falling_market_is_positive() -> None:
    """Losses are positive; the short book has a gain, which is negative."""
    block = block_of([[(0, 100.0)], [(0, -100.0)], []], [[], []], 0)

    loss, count = stress_losses(block, np.array([-0.25, 0.0]), np.array([True, False]))

    assert loss.tolist() == [25.0, -25.0, 0.0]
    assert count.tolist() == [1, 1, 0]
