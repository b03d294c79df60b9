"""Exposures and shares of each portfolio of a block."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import exposure as naive
from tests.unit.kernels.blocks import (
    Block,
    amounts,
    assert_close,
    assert_same_bits,
    block_of,
    blocks,
    books_scale,
    concentrations,
    exposures,
    gross_of,
    with_books,
)


@given(blocks())
def test_exposures_agree_with_naive_sums(block: Block) -> None:
    """Market value, long and short are the sums of the formulas."""
    expected = [
        (
            naive.market_value(book),
            naive.long_exposure(book),
            naive.short_exposure(book),
            naive.gross_exposure(book),
        )
        for book in block.books
    ]

    actual = exposures(block)

    assert_close(actual, expected, books_scale(block)[:, None])


@given(blocks())
def test_gross_and_net_follow_from_long_and_short(block: Block) -> None:
    """Gross is long plus short; net, and market value, are long minus short."""
    actual = exposures(block)

    gross = actual[:, 1] + actual[:, 2]
    net = actual[:, 1] - actual[:, 2]

    assert_close(gross, [naive.gross_exposure(b) for b in block.books], books_scale(block))
    assert_close(net, [naive.net_exposure(b) for b in block.books], books_scale(block))
    assert_close(net, actual[:, 0], books_scale(block))


@given(blocks())
def test_gross_leverage_agrees_with_the_naive_ratio(block: Block) -> None:
    """The kernel's gross exposure over a net asset value is the naive leverage."""
    nav = 12_345.5
    expected = [naive.gross_leverage(book, nav) for book in block.books]

    actual = gross_of(block) / nav

    assert_close(actual, expected, books_scale(block) / nav)


@given(blocks())
def test_long_and_short_are_never_negative(block: Block) -> None:
    """Long and short exposure are not negative."""
    actual = exposures(block)

    assert np.all(actual[:, 1:] >= 0.0)


@given(blocks())
def test_concentration_agrees_with_naive_shares(block: Block) -> None:
    """The largest share and the sum of squared shares are the naive ones."""
    expected = [(naive.concentration(book), naive.herfindahl(book)) for book in block.books]

    actual = concentrations(block)

    assert_close(actual, expected, 1.0)


@given(blocks())
def test_concentration_lies_between_an_equal_book_and_a_single_name(block: Block) -> None:
    """The index is between 1 over the number of positions and the largest share."""
    actual = concentrations(block)

    for book, (largest, index) in zip(block.books, actual, strict=True):
        n_held = sum(value != 0 for _, value in book)
        if n_held == 0:
            assert (largest, index) == (0.0, 0.0)
        else:
            assert 1 / n_held - 1e-12 <= largest <= 1.0
            assert 1 / n_held - 1e-12 <= index <= largest + 1e-12


def test_empty_book_has_no_exposure_and_no_shares() -> None:
    """A portfolio without positions, between two others, has zeros."""
    block = block_of([[(0, 5.0)], [], [(0, -3.0)]], [[], []], 0)

    assert exposures(block)[1].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert concentrations(block)[1].tolist() == [0.0, 0.0]


def test_block_without_portfolios_has_no_rows() -> None:
    """The kernels accept it."""
    block = block_of([], [[]], 0)

    assert exposures(block).shape == (0, 4)
    assert concentrations(block).shape == (0, 2)


@given(blocks(), st.data())
def test_exposures_of_split_books_add_up(block: Block, data: st.DataObject) -> None:
    """The exposures of two halves of a book sum to those of the book."""
    cuts = [data.draw(st.integers(0, len(book))) for book in block.books]
    heads = with_books(block, [b[:cut] for b, cut in zip(block.books, cuts, strict=True)])
    tails = with_books(block, [b[cut:] for b, cut in zip(block.books, cuts, strict=True)])

    together = exposures(heads) + exposures(tails)

    assert_close(together, exposures(block), books_scale(block)[:, None])


@given(blocks())
def test_sign_flip_swaps_long_and_short(block: Block) -> None:
    """The opposite book has long and short exchanged, and equal concentration."""
    opposite = with_books(block, [[(i, -v) for i, v in book] for book in block.books])

    actual = exposures(opposite)

    np.testing.assert_array_equal(actual[:, 1], exposures(block)[:, 2])
    np.testing.assert_array_equal(actual[:, 2], exposures(block)[:, 1])
    np.testing.assert_array_equal(actual[:, 0], -exposures(block)[:, 0])
    assert_close(concentrations(opposite), concentrations(block), 1.0)


@given(blocks(), st.floats(1e-3, 1e3))
def test_exposures_scale_with_the_book_and_shares_do_not(block: Block, factor: float) -> None:
    """A book `factor` times as large has `factor` times the exposure and equal shares."""
    larger = with_books(block, [[(i, factor * v) for i, v in book] for book in block.books])

    assert_close(exposures(larger), factor * exposures(block), factor * books_scale(block)[:, None])
    assert_close(concentrations(larger), concentrations(block), 1.0)


@given(blocks(), st.randoms(use_true_random=False))
def test_order_of_positions_does_not_matter(block: Block, random: Random) -> None:
    """A shuffled book has the same exposures and shares."""
    shuffled = with_books(block, [random.sample(book, len(book)) for book in block.books])

    assert_close(exposures(shuffled), exposures(block), books_scale(block)[:, None])
    assert_close(concentrations(shuffled), concentrations(block), 1.0)


@given(blocks(), st.data())
def test_zero_position_changes_no_bit(block: Block, data: st.DataObject) -> None:
    """A position worth exactly 0, at any index, changes no result."""
    zero = data.draw(st.sampled_from([0.0, -0.0]))
    widened = []
    for book in block.books:
        place = data.draw(st.integers(0, len(book)))
        widened.append([*book[:place], (len(block.panel), zero), *book[place:]])
    unchanged = block_of(
        widened, [*block.panel, [float("nan")] * block.n_observations], block.n_observations
    )

    assert_same_bits(exposures(unchanged), exposures(block))
    assert_same_bits(concentrations(unchanged), concentrations(block))


@given(blocks(min_books=1), st.lists(amounts, max_size=3))
def test_portfolio_has_the_same_bits_alone_and_in_a_block(block: Block, other: list[float]) -> None:
    """Results do not depend on other portfolios or on the row."""
    neighbour = [(0, value) for value in other[:1]]
    shifted = with_books(block, [neighbour, *block.books, neighbour])

    for p, book in enumerate(block.books):
        alone = with_books(block, [book])
        assert_same_bits(exposures(alone)[0], exposures(shifted)[p + 1])
        assert_same_bits(concentrations(alone)[0], concentrations(shifted)[p + 1])
