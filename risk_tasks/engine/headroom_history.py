"""How much may be traded before a measure of past P&L passes a level.

An exit is (K,): the largest x such that on [0, x] the measure is not beyond `level`, above it for a
`sign` of 1 and below it for -1; +inf where it never is. What too few observations would tell has an
exit at 0.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import BoolArray, FloatArray, IntArray
from risk_tasks.engine.parametric import student_factors
from risk_tasks.engine.trades import Parabola, Trades, first_exit
from risk_tasks.engine.windows import (
    by_window,
    confidence_of,
    normal_quantile,
    spread_window,
    tail_length,
    tail_window,
    var_rank,
)
from risk_tasks.kernels import headroom as kernels
from risk_tasks.model.confidence import tail_rank
from risk_tasks.model.measures import MeasureName

#: how far a number may lie from what the same outcomes make in another order
_ROUNDING = 1e-9
#: an outcome that is the level itself does not pass it
_SLACK = 1e-15


def volatility_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _spread_exit(trades, trades.variance, level, sign)


def ewma_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    if trades.run.settings.outcome_days > 1:
        return np.zeros(len(trades))  # what shares days is not told
    return _spread_exit(trades, trades.ewma_variance, level, sign)


def parametric_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    factor = normal_quantile(confidence_of(name, trades.run.settings))
    return _factored_exit(trades, factor, level, sign)


def student_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _factored_exit(trades, student_factors(trades.run, name)[0], level, sign)


def student_shortfall_exit(
    trades: Trades, name: MeasureName, level: float, sign: float
) -> FloatArray:
    return _factored_exit(trades, student_factors(trades.run, name)[1], level, sign)


def _factored_exit(trades: Trades, factor: float, level: float, sign: float) -> FloatArray:
    """Return the exit of so many volatilities, which may be fewer than none."""
    if factor == 0.0:
        return np.where(trades.n_observations < spread_window(trades.run), 0.0, np.inf)
    towards = sign if factor > 0.0 else -sign
    return _spread_exit(trades, trades.variance, level / factor, towards)


def _spread_exit(trades: Trades, variance: Parabola, level: float, sign: float) -> FloatArray:
    """Return the exit of the root of a parabola: its square is held against that of `level`."""
    level = level / trades.run.horizon_scale
    a, b, c = variance
    if sign < 0.0 and level <= 0.0:
        exits = np.full(len(trades), np.inf)
    elif level < 0.0:
        exits = np.zeros(len(trades))
    else:
        square = level * level
        zero = np.zeros(len(trades))
        exits = first_exit([zero], lambda *_: (sign * (a - square), sign * b, sign * c))
        # Beyond it from the first unit on: what is not held yet brings its own missing returns.
        beyond = sign * (a - square) > _ROUNDING * (a + square)
        exits = np.where(beyond, 0.0, exits)
    return np.where(trades.n_observations < spread_window(trades.run), 0.0, exits)


def value_at_risk_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """Outcomes that pass the level are counted; from below, those of the book turned over."""
    run, (told, n, pnl, slope) = trades.run, _lines(trades, name)
    rank = by_window(n, np.int64, lambda n: var_rank(run, name, n)[0])
    weight = by_window(n, np.float64, lambda n: var_rank(run, name, n)[1])
    if sign < 0.0:
        pnl, slope = -pnl, -slope
        rank = n - 1 - rank - (weight > 0.0)
        weight = np.where(weight > 0.0, 1.0 - weight, 0.0)
    level = -sign * level / run.horizon_scale
    level -= abs(level) * _SLACK
    found = np.empty(len(n))
    kernels.rank_exit(pnl, slope, level, rank, found)
    between = weight > 0.0
    if between.any():
        some = np.empty(int(between.sum()))
        kernels.interpolated_exit(pnl, slope[between], level, rank[between], weight[between], some)
        found[between] = some
    exits = np.zeros(len(trades))
    exits[told] = found
    return exits


def shortfall_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    confidence = confidence_of(name, trades.run.settings)
    told, n, pnl, slope = _lines(trades, name)
    rank = by_window(n, np.int64, lambda n: tail_rank(n, confidence))
    n_tail = by_window(n, np.float64, lambda n: tail_length(n, confidence))
    level = level / trades.run.horizon_scale
    found = np.empty(len(n))
    kernels.shortfall_exit(pnl, slope, level, sign > 0.0, rank, n_tail, found)
    exits = np.zeros(len(trades))
    exits[told] = found
    return exits


def _lines(trades: Trades, name: MeasureName) -> tuple[BoolArray, IntArray, FloatArray, FloatArray]:
    """Return which legs are told, (K,), and of those the observations, P&L and slopes."""
    required = tail_window(trades.run, confidence_of(name, trades.run.settings))
    told = trades.n_observations >= required
    return told, trades.n_observations[told], trades.run.pnl[0], trades.slope[told]


EXITS = {
    "volatility": volatility_exit,
    "ewma_volatility": ewma_exit,
    "parametric_value_at_risk": parametric_exit,
    "student_value_at_risk": student_exit,
    "student_expected_shortfall": student_shortfall_exit,
    "value_at_risk": value_at_risk_exit,
    "expected_shortfall": shortfall_exit,
}
