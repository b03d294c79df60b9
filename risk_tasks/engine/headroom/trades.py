"""What may still be traded of each position of one book, as straight lines and parabolas.

A leg is one position bought or sold: K = 2 N legs, first all that buy, then all that sell. A trade
is told by the value x >= 0 that moves, in base currency.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from risk_tasks.engine.computation import BoolArray, Computation, FloatArray, IntArray

#: a parabola a + b x + c x^2 by its coefficients, (K,) each
Parabola = tuple[FloatArray, FloatArray, FloatArray]


class Trades:
    """The legs of the one book in `run`."""

    def __init__(self, run: Computation) -> None:
        self.run = run
        price = run.market.prices[run.block.instrument]
        #: (K,): of one unit
        self.price: FloatArray = np.concatenate([price, price])
        #: (K,): value that moves with one unit that is bought or sold, signed
        self.value_per_unit: FloatArray = np.concatenate([price, -price])
        #: (K,): 1 where the value of the position rises, -1 where it falls, 0 where it cannot move
        self.direction: FloatArray = np.sign(self.value_per_unit)
        self.value: FloatArray = np.concatenate([run.value, run.value])
        self.instrument: IntArray = np.concatenate([run.block.instrument] * 2)

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def turn(self) -> FloatArray:
        """(K,): the x at which the position is worth nothing and turns over, 0 where it grows."""
        falls = self.direction * self.value < 0.0
        return np.where(falls, np.abs(self.value), 0.0)

    @cached_property
    def others(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(K,) each, of the other positions: sum of |V|, sum of V^2, largest |V|."""
        size = np.abs(self.run.value)
        parts = (_of_others(np.add, size), _of_others(np.add, size * size))
        gross, squares = (np.concatenate([part, part]) for part in parts)
        largest = _of_others(np.maximum, size)
        return gross, squares, np.concatenate([largest, largest])

    @cached_property
    def slope(self) -> FloatArray:
        """(K, T): P&L of what is traded for each unit of x; NaN where the return is missing."""
        returns = self.run.panel[self.run.block.instrument].astype(np.float64)
        slope: FloatArray = np.concatenate([returns, returns]) * self.direction[:, None]
        return slope

    @cached_property
    def _observed(self) -> BoolArray:
        """(K, T), or (1, T) where it is the same for all legs: what is seen once traded."""
        seen: BoolArray = ~(np.isnan(self.slope) | np.isnan(self.run.pnl[0]))
        return seen[:1] if len(seen) and (seen == seen[0]).all() else seen

    @cached_property
    def n_observations(self) -> IntArray:
        """(K,): how many observations there are once the leg is traded."""
        return np.broadcast_to(self._observed.sum(axis=1), len(self)).copy()

    @cached_property
    def variance(self) -> Parabola:
        """One-day sample variance of P&L in x."""
        seen = self._observed
        n = np.maximum(self.n_observations, 2)
        pnl, slope = (np.where(seen, series, 0.0) for series in (self.run.pnl[0], self.slope))
        pnl = np.where(seen, pnl - pnl.sum(axis=1, keepdims=True) / n[:, None], 0.0)
        slope = np.where(seen, slope - slope.sum(axis=1, keepdims=True) / n[:, None], 0.0)
        return _square_of(pnl, slope, 1.0 / (n - 1.0)[:, None])

    @cached_property
    def ewma_variance(self) -> Parabola:
        """One-day exponentially weighted mean square of P&L in x."""
        seen = self._observed
        age = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1] - 1
        weight = np.where(seen, self.run.settings.decay**age, 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        pnl, slope = (np.where(seen, series, 0.0) for series in (self.run.pnl[0], self.slope))
        return _square_of(pnl, slope, weight)

    def size(self, start: FloatArray, inside: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return |V| of the position at x = `start`, and how it grows in the piece of `inside`."""
        growth = self.direction * np.sign(self.value + self.direction * inside)
        return np.abs(self.value + self.direction * start), growth


def _square_of(pnl: FloatArray, slope: FloatArray, weight: FloatArray) -> Parabola:
    """Return the weighted sum of (pnl + x slope)^2."""
    return (
        (weight * pnl * pnl).sum(axis=1),
        2.0 * (weight * pnl * slope).sum(axis=1),
        (weight * slope * slope).sum(axis=1),
    )


def _of_others(add: np.ufunc, numbers: FloatArray) -> FloatArray:
    """Return (N,): what `add` makes of all numbers but one, in one order and without a difference.

    Numbers are not negative.
    """
    before = add.accumulate(np.concatenate([[0.0], numbers]))[:-1]
    after = add.accumulate(np.concatenate([[0.0], numbers[::-1]]))[:-1][::-1]
    others: FloatArray = add(before, after)
    return others


def first_exit(
    starts: list[FloatArray], excess: Callable[[FloatArray, FloatArray], Parabola]
) -> FloatArray:
    """Return (K,): the largest x such that on [0, x] no excess is above 0; +inf for no end.

    `starts` (K,) each, ascending from 0: where the pieces begin that the excess is made of.
    `excess(start, inside)` is the parabola of a piece around its start, the piece being that which
    `inside` lies in. The excess is continuous and, at 0, not above 0 but for rounding.
    """
    exits = np.full(len(starts[0]), np.inf)
    for place, start in enumerate(starts):
        stop = starts[place + 1] if place + 1 < len(starts) else np.full(len(start), np.inf)
        inside = np.where(np.isinf(stop), start + 1.0 + np.abs(start), 0.5 * (start + stop))
        x = start + _root(*excess(start, inside))
        # The end of a piece is the start of the next one, which tells what follows.
        found = np.isinf(exits) & (start < stop) & ~(x > stop)
        exits = np.where(found & ~((x == stop) & np.isfinite(stop)), x, exits)
    return exits


def _root(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Return where a + b x + c x^2, a <= 0, first rises above 0 for x >= 0; +inf for nowhere.

    There the derivative is the root of the discriminant, which tells it from the other root.
    """
    a = np.minimum(a, 0.0)
    square = b * b - 4.0 * a * c
    spread = np.sqrt(square)
    rises_late = b <= 0.0
    root = np.where(rises_late, (spread - b) / (2.0 * c), -2.0 * a / (b + spread))
    # With c >= 0 it rises for certain, though squares of what is very small may vanish.
    never = np.where(rises_late, c <= 0.0, (c < 0.0) & (square <= 0.0))
    # What is too large to be told has no room.
    return np.where(np.isfinite(square), np.where(never, np.inf, root), 0.0)
