"""Portfolios with two positions in one instrument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.reference import validity as naive
from tests.unit.kernels.blocks import Block, block_of, blocks, repeated_positions

instruments = st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=5)


@given(instruments)
def test_first_repeated_position_agrees_with_the_naive_scan(books: list[list[int]]) -> None:
    """The flat index is the naive index in the book plus the offset of the book."""
    block = block_of([[(i, 1.0) for i in book] for book in books], [[]] * 4, 0)
    expected = []
    for begin, book in zip(block.offsets, block.books, strict=False):
        place = naive.first_repeated(book)
        expected.append(-1 if place < 0 else int(begin) + place)

    assert repeated_positions(block) == expected


@given(blocks())
def test_books_that_name_each_instrument_once_are_valid(block: Block) -> None:
    """The same instrument in several portfolios is not a repetition."""
    assert repeated_positions(block) == [-1] * len(block.books)


def test_first_of_several_repetitions_is_reported() -> None:
    """The result is the first repeating position, not the one that it repeats."""
    block = block_of([[(0, 1.0)], [(1, 1.0), (0, 2.0), (1, 0.0), (0, 3.0)]], [[], []], 0)

    assert repeated_positions(block) == [-1, 3]


def test_empty_portfolio_has_no_repeated_position() -> None:
    """It is between a book with a repeated position and one without."""
    block = block_of([[(0, 1.0), (0, 1.0)], [], [(0, 1.0)]], [[]], 0)

    assert repeated_positions(block) == [1, -1, -1]
