"""The worst outcomes of antithetic pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.kernels import simulation
from tests.unit.kernels.blocks import UNWRITTEN, Array, assert_same_bits, outcome_rows


def worst_pairs(pnl: Array, k: int, cuts: list[int]) -> list[list[float]]:
    """Run `simulation.keep_worst_pairs` on chunks of `pnl`; return the outcomes sorted."""
    worst = np.full((pnl.shape[0], k), float(UNWRITTEN))
    n_kept = np.zeros(pnl.shape[0], dtype=np.int64)
    for piece in np.split(pnl, sorted(cuts), axis=1):
        simulation.keep_worst_pairs(np.ascontiguousarray(piece), worst, n_kept)
    for row, n in zip(worst, n_kept, strict=True):
        assert n < k or row.max() == row[-1]
    return [sorted(row[:n].tolist()) for row, n in zip(worst, n_kept, strict=True)]


def expected_of(pnl: Array, k: int) -> list[list[float]]:
    """Return the k smallest of all outcomes and their negatives."""
    return [
        sorted(x for p in row if not np.isnan(p) for x in (float(p), -float(p)))[:k] for row in pnl
    ]


@given(outcome_rows(), st.integers(1, 90), st.lists(st.integers(0, 40), max_size=4))
def test_the_worst_outcomes_do_not_depend_on_the_chunks(
    pnl: Array, k: int, cuts: list[int]
) -> None:
    """Rows have ties and missing outcomes, and some have fewer than k outcomes."""
    assert worst_pairs(pnl, k, cuts) == expected_of(pnl, k)


def test_many_pairs_are_reduced_several_times() -> None:
    """Of 1,001 pairs the worst are last, first, or in random places."""
    random = np.random.default_rng(3)
    x = np.sort(random.standard_t(3, 1001))
    rows = np.array([x, x[::-1], random.permutation(x), np.zeros(1001)])

    for k in (1, 2, 20, 700, 2002):
        assert worst_pairs(rows, k, [64, 576]) == expected_of(rows, k)


def test_a_portfolio_does_not_depend_on_others() -> None:
    """The kernel keeps no state from one row to the next."""
    pnl = np.random.default_rng(5).normal(size=(3, 700))
    together, alone = np.empty((3, 9)), np.empty((1, 9))
    simulation.keep_worst_pairs(pnl, together, np.zeros(3, dtype=np.int64))
    simulation.keep_worst_pairs(pnl[1:2], alone, np.zeros(1, dtype=np.int64))

    assert_same_bits(alone[0], together[1])
