"""The contribution of one instrument to an expected shortfall."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from risk_tasks.kernels import history
from tests.reference import rank, scenario
from tests.reference import tail as naive
from tests.unit.kernels.blocks import (
    UNWRITTEN,
    Array,
    Block,
    assert_close,
    assert_same_bits,
    block_of,
    blocks,
    books_scale,
    confidences,
    profits,
    worst_outcomes,
)

NAN = float("nan")


def parts_of(block: Block, instrument: int, confidence: str) -> Array:
    """Run `history.shortfall_of_one` on the books of `block`, with ranks from the references."""
    pnl = profits(block)
    counts = [max(1, int(n)) for n in np.count_nonzero(~np.isnan(pnl), axis=1)]
    ranks = np.array([rank.tail_rank(n, confidence) for n in counts], dtype=np.int64)
    alpha = rank.tail_probability(confidence)
    worst = worst_outcomes(pnl, int(ranks.max()))
    out = np.full(len(block.books), float(UNWRITTEN))
    history.shortfall_of_one(
        pnl,
        worst[np.arange(len(ranks)), ranks - 1],
        ranks,
        np.array([float(n * alpha) for n in counts]),
        np.array([dict(book).get(instrument, 0.0) for book in block.books]),
        np.array(block.panel[instrument], dtype=np.float64),
        out,
    )
    return out


@given(blocks(min_books=1), confidences)
def test_a_part_of_the_shortfall_agrees_with_its_reference(block: Block, confidence: str) -> None:
    """It is 0 if the instrument is not held, or if there is no observation."""
    expected = []
    for book in block.books:
        parts = [0.0] * len(book)
        if scenario.observed(book, block.panel, block.n_observations):
            parts = naive.expected_shortfall_contributions(
                book, block.panel, block.n_observations, confidence
            )
        held = dict(zip((i for i, _ in book), parts, strict=True))
        expected.append(held.get(0, 0.0))

    assert_close(parts_of(block, 0, confidence), expected, books_scale(block))


def test_of_tied_outcomes_the_earlier_ones_are_in_the_tail() -> None:
    """A tail of three days has the worst day and the first two of the tied ones.

    The instruments move differently on each tied day, so that the result shows which was read.
    """
    first = [-0.25, 0.5, -0.5, 0.25, 0.75, -1.0]
    other = [-0.25, -1.0, -0.5, -0.75, -1.25, 0.5]
    # P&L in eighths: -0.5, -0.5, -1, -0.5, -0.5, -0.5
    block = block_of([[(0, 8.0), (1, 8.0)]], [first, other], 6)

    assert parts_of(block, 0, "0.5").tolist() == [-8 * (-0.25 + 0.5 - 0.5) / 3]
    # In a tail of 1.5, the first tied day has half the weight.
    assert parts_of(block, 0, "0.75").tolist() == [-8 * (-0.5 - 0.25 * 0.5) / 1.5]


def test_an_instrument_that_is_not_held_contributes_positive_zero() -> None:
    """It has no return on the worst day."""
    block = block_of([[(0, 8.0), (1, -0.0)], []], [[-0.5, 0.25], [NAN, 0.5]], 2)

    assert_same_bits(parts_of(block, 1, "0.5"), np.zeros(2))
