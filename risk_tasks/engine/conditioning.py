"""Bounds of the effect of rounding on covariances of P&L: whether a result has digits to rely on.

The P&L of an outcome is a rounded sum over m positions. Its rounding error is at most
(m + 2) u S, u = 2^-53, S the sum of |V_i r_i| (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed. (2002), 4.2). Where the standard deviation of the P&L is hardly larger, as in a
hedged portfolio or one of constant returns, a covariance with the P&L consists of rounding errors.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import BoolArray, Computation, FloatArray

#: the largest relative error of a result with digits to rely on
LARGEST_ERROR = 1e-6
_UNIT = 2.0**-53


def centred(legs: FloatArray) -> FloatArray:
    """Return the deviations of each row of `legs` (N, T) from its mean."""
    departures: FloatArray = legs - legs.mean(axis=1, keepdims=True)
    return departures


def rounds_beyond(run: Computation, allowed: FloatArray) -> BoolArray:
    """Return (P,): whether an outcome of P&L may be off by more than `allowed` (P,), currency.

    The exact sums of |V_i r_i| are computed only where the largest return of the market does not
    bound them well enough.
    """
    unit = _UNIT * (np.diff(run.block.offsets) + 2.0)
    largest = run.market.largest_return * run.settings.outcome_days
    beyond: BoolArray = ~(unit * run.gross * largest <= allowed)
    for row in np.flatnonzero(beyond):
        beyond[row] = unit[row] * _largest_sum(run, int(row)) > allowed[row]
    return beyond


def _largest_sum(run: Computation, row: int) -> float:
    """Return the largest sum of |V_i r_i| of an observed outcome."""
    start, stop = run.block.offsets[row], run.block.offsets[row + 1]
    value = np.abs(run.value[start:stop])
    returns = np.abs(run.panel[run.block.instrument[start:stop]])
    sums = (value[:, None] * np.where(value[:, None] > 0.0, returns, 0.0)).sum(axis=0)
    return float(np.nanmax(sums, initial=0.0))


def allowed_error(spread: FloatArray, of_leg: FloatArray) -> FloatArray:
    """Return the error of the P&L up to which the contribution of a leg has digits to rely on.

    `spread` is the standard deviation of the P&L, `of_leg` that of the leg. By Cauchy and Schwarz,
    an error e of the P&L changes a contribution by at most `of_leg` e / `spread`, which is compared
    with `spread`. There is no bound where `spread` is 0: contributions then are 0.
    """
    ratio = np.maximum(1.0, of_leg / spread)
    return np.where(spread > 0.0, LARGEST_ERROR * spread / ratio, np.inf)


def are_conditioned(run: Computation, departures: FloatArray) -> bool:
    """Whether the contributions of all legs, of deviations (N, T), have digits to rely on.

    `run` has one portfolio.
    """
    n = max(1, departures.shape[1] - 1)
    widest = float(np.sqrt((departures * departures).sum(axis=1).max(initial=0.0) / n))
    allowed = allowed_error(run.deviation, np.array([widest]))
    return not rounds_beyond(run, allowed).any()
