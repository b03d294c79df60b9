"""Generates blocks of portfolios, runs kernels on them, and compares results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from risk_tasks.kernels import history, positions

Array = npt.NDArray[Any]
Book = list[tuple[int, float]]

#: Fills every output before a kernel runs, so that an element that is not written shows.
UNWRITTEN = 777
TOLERANCE = 1e-12

# Sums of eighths have no rounding, so that ties are exact in every order of summation.
amounts = st.one_of(
    st.just(0.0),
    st.integers(-800, 800).map(lambda eighths: eighths / 8),
    st.floats(-1e9, 1e9, allow_subnormal=False),
)
moves = st.one_of(
    st.integers(-32, 32).map(lambda parts: parts / 64),
    st.floats(-0.9, 0.9, allow_subnormal=False),
)
outcomes = st.one_of(
    st.integers(-40, 40).map(lambda eighths: eighths / 8),
    st.floats(-1e6, 1e6, allow_subnormal=False),
)
gaps = st.just(float("nan"))
confidences = st.sampled_from(["0.5", "0.75", "0.9", "0.95", "0.975", "0.99", "0.999"])


class Block(NamedTuple):
    """Portfolios as lists of pairs, and as the arrays that kernels take."""

    books: list[Book]
    panel: list[list[float]]
    n_observations: int
    offsets: Array
    instrument: Array
    value: Array
    returns: Array


def block_of(books: Sequence[Book], panel: Sequence[Sequence[float]], n_observations: int) -> Block:
    """Convert `books` and `panel`, one sequence of returns per instrument, to arrays."""
    flat = [pair for book in books for pair in book]
    return Block(
        books=[list(book) for book in books],
        panel=[list(row) for row in panel],
        n_observations=n_observations,
        offsets=np.cumsum([0, *map(len, books)], dtype=np.int64),
        instrument=np.array([instrument for instrument, _ in flat], dtype=np.int64),
        value=np.array([value for _, value in flat], dtype=np.float64),
        returns=np.array(panel, dtype=np.float64).reshape(len(panel), n_observations),
    )


def with_books(block: Block, books: Sequence[Book]) -> Block:
    """Return a block of these books in the market of `block`."""
    return block_of(books, block.panel, block.n_observations)


@st.composite
def blocks(draw: st.DrawFn, *, missing: bool = True, min_books: int = 0) -> Block:
    """Generate up to five books, some empty, of up to six instruments and ten observations."""
    n_instruments = draw(st.integers(1, 6))
    n_observations = draw(st.integers(0, 10))
    cells = st.one_of(moves, moves, moves, gaps) if missing else moves
    panel = [
        draw(st.lists(cells, min_size=n_observations, max_size=n_observations))
        for _ in range(n_instruments)
    ]
    pairs = st.tuples(st.integers(0, n_instruments - 1), amounts)
    book = st.lists(pairs, max_size=n_instruments, unique_by=lambda pair: pair[0])
    return block_of(draw(st.lists(book, min_size=min_books, max_size=5)), panel, n_observations)


@st.composite
def outcome_rows(draw: st.DrawFn, *, min_observed: int = 0) -> Array:
    """Generate the P&L of up to four portfolios over up to forty observations, some missing."""
    n_rows = draw(st.integers(1, 4))
    width = draw(st.integers(min_observed, 40))
    observed = st.lists(outcomes, min_size=min_observed, max_size=width)
    rows = []
    for _ in range(n_rows):
        seen = draw(observed)
        row = [*seen, *[float("nan")] * (width - len(seen))]
        rows.append(draw(st.permutations(row)))
    return np.array(rows, dtype=np.float64).reshape(n_rows, width)


def observed(row: Array) -> list[float]:
    """Return the outcomes of one row that are not missing."""
    return [float(x) for x in row if not np.isnan(x)]


def books_scale(block: Block) -> Array:
    """Return the gross exposure of each book, to which errors are relative."""
    return np.array([sum(abs(value) for _, value in book) for book in block.books])


def assert_close(actual: Array, expected: Any, scale: Any) -> None:
    """Assert equality within 1e-12 of `scale`, and NaN where `expected` is None or NaN."""
    wanted = np.array(expected, dtype=np.float64).reshape(actual.shape)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))

    allowed = np.broadcast_to(TOLERANCE * np.asarray(scale, dtype=np.float64), actual.shape)
    error = np.where(np.isnan(wanted), 0.0, np.abs(actual - wanted))
    assert np.all(error <= allowed), f"{actual} is not {wanted}: off by {error}"


def assert_same_bits(actual: Array, expected: Array) -> None:
    """Assert equal bits, including the sign of zero."""
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes(), f"{actual} is not {expected}"


def exposures(block: Block) -> Array:
    """Run `positions.exposure`: the columns are market value, long, short and gross."""
    out = np.full((len(block.books), 4), float(UNWRITTEN))
    positions.exposure(block.offsets, block.value, out)
    return out


def gross_of(block: Block) -> Array:
    """Return the gross exposure of `positions.exposure`."""
    return np.ascontiguousarray(exposures(block)[:, 3])


def concentrations(block: Block) -> Array:
    """Run `positions.concentration`: the columns are largest share and Herfindahl index."""
    out = np.full((len(block.books), 2), float(UNWRITTEN))
    positions.concentration(block.offsets, block.value, gross_of(block), out)
    return out


def profits(block: Block) -> Array:
    """Run `history.profit_and_loss`."""
    out = np.full((len(block.books), block.n_observations), float(UNWRITTEN))
    history.profit_and_loss(block.offsets, block.instrument, block.value, block.returns, out)
    return out


def stress_losses(block: Block, shock: Array, named: Array) -> tuple[Array, Array]:
    """Run `positions.stress_loss`: losses, and the number of held instruments that are named."""
    out = np.full(len(block.books), float(UNWRITTEN))
    n_named = np.full(len(block.books), UNWRITTEN, dtype=np.int64)
    positions.stress_loss(block.offsets, block.instrument, block.value, shock, named, out, n_named)
    return out, n_named


def worst_outcomes(pnl: Array, n_kept: int) -> Array:
    """Run `history.outcomes` for the `n_kept` worst."""
    return read_history(pnl, n_kept)[0]


def read_history(pnl: Array, n_kept: int, reach: float = 1.0) -> tuple[Array, Array, Array]:
    """Run `history.outcomes` on one portfolio for each row, which is its P&L."""
    p = pnl.shape[0]
    worst = np.full((p, n_kept), float(UNWRITTEN))
    n_observations = np.full(p, UNWRITTEN, dtype=np.int64)
    deviation = np.full(p, float(UNWRITTEN))
    history.outcomes(
        np.arange(p + 1), np.arange(p), np.ones(p), pnl, reach, worst, n_observations, deviation
    )
    return worst, n_observations, deviation


def values_at_risk(worst: Array, rank: Sequence[int], weight: Sequence[float]) -> Array:
    """Run `history.value_at_risk`; ranks start at 0."""
    out = np.full(worst.shape[0], float(UNWRITTEN))
    history.value_at_risk(
        worst, np.array(rank, dtype=np.int64), np.array(weight, dtype=np.float64), out
    )
    return out


def expected_shortfalls(worst: Array, rank: Sequence[int], n_tail: Sequence[float]) -> Array:
    """Run `history.expected_shortfall`; ranks start at 1."""
    out = np.full(worst.shape[0], float(UNWRITTEN))
    history.expected_shortfall(
        worst, np.array(rank, dtype=np.int64), np.array(n_tail, dtype=np.float64), out
    )
    return out


def dispersions(pnl: Array) -> tuple[Array, Array]:
    """Run `history.outcomes`; return the numbers of observations and the deviations."""
    return read_history(pnl, 1)[1:]


def repeated_positions(block: Block) -> list[int]:
    """Run `positions.repeated_position`."""
    out = np.full(len(block.books), UNWRITTEN, dtype=np.int64)
    positions.repeated_position(block.offsets, block.instrument, len(block.panel), out)
    return [int(index) for index in out]
