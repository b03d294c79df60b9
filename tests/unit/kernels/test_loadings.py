"""Loadings of the P&L of a book on independent draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from risk_tasks.kernels.covariance import loadings, lower_factor
from tests.reference import monte_carlo, scenario, tail
from tests.unit.kernels.blocks import (
    UNWRITTEN,
    Array,
    Block,
    assert_close,
    assert_same_bits,
    block_of,
    blocks,
    books_scale,
)

NAN = float("nan")
NONE = np.empty((0, 0))


def loaded(block: Block, covariance: Array = NONE) -> tuple[Array, Array]:
    """Run `loadings` on a block without positions worth 0; return w and its length."""
    out = np.full(len(block.value), float(UNWRITTEN))
    spread = np.full(len(block.books), float(UNWRITTEN))
    with np.errstate(all="ignore"):
        loadings(
            *(block.offsets, block.instrument, block.value, block.returns),
            *(covariance, out, spread),
        )
    return out, spread


def lower_of(block: Block, covariance: Array = NONE) -> Array:
    """Run `lower_factor` on a block of one book."""
    n = len(block.value)
    out = np.zeros((n, n))
    with np.errstate(all="ignore"):
        lower_factor(block.instrument, block.value, block.returns, covariance, out)
    return out


def held(block: Block) -> Block:
    books = [[pair for pair in book if pair[1]] for book in block.books]
    return block_of(books, block.panel, block.n_observations)


@given(blocks())
def test_the_spread_is_the_standard_deviation(block: Block) -> None:
    """The deviation is that of the complete P&L; covariances may be singular, books empty."""
    block = held(block)
    expected = []
    for book in block.books:
        pnl = scenario.profit_and_loss(book, block.panel, block.n_observations)
        expected.append(tail.standard_deviation([p for p in pnl if p is not None]))

    # The root of a variance enlarges its rounding; in the reference, squares of tiny P&L underflow.
    scale = books_scale(block)
    assert_close(loaded(block)[1], expected, 1e5 * scale + np.where(scale < 1e-140, np.inf, 0.0))


def random_book(n: int, seed: int) -> Block:
    """Return one long and short book of `n` instruments over 60 observations, some missing."""
    random = np.random.default_rng(seed)
    panel = 0.01 * (random.standard_normal((n, 60)) + random.standard_normal(60))
    panel[random.random(panel.shape) < 0.01] = NAN
    return block_of([list(enumerate(random.normal(size=n) * 1e3))], panel.tolist(), 60)


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_loadings_agree_with_numpy_and_with_the_reference(n: int) -> None:
    """w = L'V, with L from `np.linalg.cholesky` and from plain loops."""
    block = random_book(n, seed=n)
    complete = block.returns[:, ~np.isnan(block.returns).any(axis=0)]
    expected = np.linalg.cholesky(np.cov(complete).reshape(n, n)).T @ block.value
    reference = np.array(monte_carlo.cholesky(monte_carlo.covariance_matrix(complete.tolist())))

    w, spread = loaded(block)
    lower = lower_of(block)

    scale = np.abs(block.value).sum()
    np.testing.assert_allclose(w, expected, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(w, reference.T @ block.value, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(spread, [np.linalg.norm(expected)], rtol=1e-12)
    np.testing.assert_allclose(np.sign(block.value) @ lower, w, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(lower, np.abs(block.value)[:, None] * reference, atol=1e-12 * scale)


def test_a_given_covariance_is_used_instead_of_the_returns() -> None:
    """Its rows are those of the market; missing returns do not matter."""
    block = block_of([[(2, 4.0), (0, -2.0)]], [[NAN], [NAN], [NAN]], 1)
    covariance = np.array([[4.0, 9.0, 1.0], [9.0, 81.0, 9.0], [1.0, 9.0, 1.0]])

    w, spread = loaded(block, covariance)

    # L of [[1, 1], [1, 4]] is [[1, 0], [1, sqrt 3]].
    np.testing.assert_allclose(w, [4.0 - 2.0, -2.0 * 3.0**0.5], rtol=1e-15)
    np.testing.assert_allclose(spread, [4.0], rtol=1e-15)


def test_an_instrument_that_others_explain_has_a_loading_of_0() -> None:
    """Equal, proportional and constant returns: no division by a remaining variance of 0."""
    steps = [0.25, -0.5, 0.125, 0.5]
    panel = [steps, steps, [2 * step for step in steps], [0.0] * 4]
    block = block_of([[(0, 8.0), (1, 8.0), (2, -8.0), (3, 8.0)]], panel, 4)

    w, spread = loaded(block)

    assert w[1:].tolist() == [0.0, 0.0, 0.0]
    assert abs(w[0]) <= 1e-14
    assert spread[0] == abs(w[0])


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-150, 1.0, 1e149, 1e200])
def test_loadings_scale_with_the_book(size: float) -> None:
    """Squares of positions do not overflow or underflow."""
    block = block_of([[(0, size), (1, -2 * size)]], [[0.25, -0.5, 0.125], [0.5, 0.25, 0.0]], 3)
    one = block_of([[(0, 1.0), (1, -2.0)]], block.panel, 3)

    np.testing.assert_allclose(
        loaded(block)[0], loaded(one)[0] * size, rtol=1e-14 if size > 1e-300 else 1e-2
    )


@pytest.mark.parametrize("entry", [np.inf, -np.inf, NAN, 1.7e308])
def test_a_covariance_that_overflows_has_no_finite_spread(entry: float) -> None:
    """It is not 0, which would pass every limit."""
    block = block_of([[(0, 1.0), (1, -1.0)]], [[0.0], [0.0]], 1)

    _, spread = loaded(block, np.full((2, 2), entry))

    assert not spread[0] < 1e150


def test_loadings_of_a_book_do_not_depend_on_others() -> None:
    """The kernel keeps no state from one book to the next."""
    block = random_book(7, seed=1)
    book = block.books[0]
    together = block_of([book[:3], book, []], block.panel, 60)

    w, spread = loaded(together)

    assert_same_bits(w[3:], loaded(block)[0])
    assert_same_bits(spread[1:], np.array([loaded(block)[1][0], 0.0]))
