"""The trades in each position of one portfolio, and exits of lines and parabolas.

A leg is one position bought or sold: K = 2 N legs, first all purchases, then all sales. The size of
a trade is the traded value x >= 0, in base currency.
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
        #: (K,): price of one unit
        self.price: FloatArray = np.concatenate([price, price])
        #: (K,): change of the position's value per traded unit, signed
        self.value_per_unit: FloatArray = np.concatenate([price, -price])
        #: (K,): 1 if the trade raises the position's value, -1 if it lowers it, 0 if the price is 0
        self.direction: FloatArray = np.sign(self.value_per_unit)
        #: (K,): 1 for a purchase, -1 for a sale
        self.side: FloatArray = np.repeat([1.0, -1.0], len(price))
        self.value: FloatArray = np.concatenate([run.value, run.value])
        self.instrument: IntArray = np.concatenate([run.block.instrument] * 2)

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def sign_change(self) -> FloatArray:
        """(K,): the x at which the position's value changes its sign; 0 if the position grows."""
        falls = self.direction * self.value < 0.0
        return np.where(falls, np.abs(self.value), 0.0)

    @cached_property
    def others(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(K,) each, over the other positions: sum of |V|, sum of V^2, largest |V|."""
        size = np.abs(self.run.value)
        parts = (_of_others(np.add, size), _of_others(np.add, size * size))
        gross, squares = (np.concatenate([part, part]) for part in parts)
        largest = _of_others(np.maximum, size)
        return gross, squares, np.concatenate([largest, largest])

    @cached_property
    def slope(self) -> FloatArray:
        """(K, T): P&L of the traded value per unit of x; NaN if the return is missing."""
        returns = self.run.panel[self.run.block.instrument].astype(np.float64)
        slope: FloatArray = np.concatenate([returns, returns]) * self.direction[:, None]
        return slope

    @cached_property
    def _observed(self) -> BoolArray:
        """(K, T): whether an outcome is observed after the trade; (1, T) if equal for all legs."""
        seen: BoolArray = ~(np.isnan(self.slope) | np.isnan(self.run.pnl[0]))
        return seen[:1] if len(seen) and (seen == seen[0]).all() else seen

    @cached_property
    def n_observations(self) -> IntArray:
        """(K,): the number of observations after the trade."""
        return np.broadcast_to(self._observed.sum(axis=1), len(self)).copy()

    @cached_property
    def variance(self) -> Parabola:
        """One-day sample variance of P&L as a parabola in x."""
        seen = self._observed
        n = np.maximum(self.n_observations, 2)
        pnl, slope = (np.where(seen, series, 0.0) for series in (self.run.pnl[0], self.slope))
        pnl = np.where(seen, pnl - pnl.sum(axis=1, keepdims=True) / n[:, None], 0.0)
        slope = np.where(seen, slope - slope.sum(axis=1, keepdims=True) / n[:, None], 0.0)
        return _square_of(pnl, slope, 1.0 / (n - 1.0)[:, None])

    @cached_property
    def ewma_variance(self) -> Parabola:
        """One-day exponentially weighted mean square of P&L as a parabola in x."""
        seen = self._observed
        age = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1] - 1
        weight = np.where(seen, self.run.settings.decay**age, 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        pnl, slope = (np.where(seen, series, 0.0) for series in (self.run.pnl[0], self.slope))
        return _square_of(pnl, slope, weight)

    def size(self, start: FloatArray, inside: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return |V| at x = `start`, and its slope in the piece that contains `inside`."""
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
    """Return (N,): for each index, the reduction by `add` of the numbers (N,) at all others.

    Numbers are not negative. Prefixes and suffixes avoid the cancellation of a difference.
    """
    before = add.accumulate(np.concatenate([[0.0], numbers]))[:-1]
    after = add.accumulate(np.concatenate([[0.0], numbers[::-1]]))[:-1][::-1]
    others: FloatArray = add(before, after)
    return others


def first_exit(
    starts: list[FloatArray], excess: Callable[[FloatArray, FloatArray], Parabola]
) -> FloatArray:
    """Return (K,): the largest x such that no excess on [0, x] is above 0; +inf if there is none.

    The excess consists of pieces, each a parabola; `starts` (K,) each, ascending from 0, are their
    left ends. `excess(start, inside)` is the parabola, around `start`, of the piece that contains
    `inside`. The excess is continuous and, up to rounding, not above 0 at 0.
    """
    exits = np.full(len(starts[0]), np.inf)
    for i, start in enumerate(starts):
        stop = starts[i + 1] if i + 1 < len(starts) else np.full(len(start), np.inf)
        inside = np.where(np.isinf(stop), start + 1.0 + np.abs(start), 0.5 * (start + stop))
        x = start + _root(*excess(start, inside))
        # An exit at the end of a piece is decided by the next piece, which starts there.
        found = np.isinf(exits) & (start < stop) & ~(x > stop)
        exits = np.where(found & ~((x == stop) & np.isfinite(stop)), x, exits)
    return exits


def _root(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Return the smallest x >= 0 beyond which a + b x + c x^2, a <= 0, is above 0; +inf if none.

    Of the two roots it is the one at which the derivative is not negative.
    """
    a = np.minimum(a, 0.0)
    square = b * b - 4.0 * a * c
    spread = np.sqrt(square)
    rises_late = b <= 0.0
    root = np.where(rises_late, (spread - b) / (2.0 * c), -2.0 * a / (b + spread))
    # With c >= 0 there is a root, even if squares of small numbers underflow.
    never = np.where(rises_late, c <= 0.0, (c < 0.0) & (square <= 0.0))
    # Without headroom if the numbers overflow.
    return np.where(np.isfinite(square), np.where(never, np.inf, root), 0.0)
