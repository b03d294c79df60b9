"""How much may be traded before a measure passes a level.

An exit is (K,), one for each leg: the largest x such that on [0, x] the measure is not beyond
`level`: above it for a `sign` of 1, below it for -1. It is +inf if the measure never is, and 0 if
there are too few observations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from risk_tasks.engine.computation import (
    BoolArray,
    FloatArray,
    IntArray,
    by_window,
    confidence_of,
    normal_quantile,
    spread_window,
    tail_length,
    tail_window,
    var_rank,
)
from risk_tasks.engine.headroom.trades import Parabola, Trades, first_exit
from risk_tasks.engine.market import ShockArrays
from risk_tasks.engine.parametric import student_factors
from risk_tasks.engine.stress import losses
from risk_tasks.kernels import headroom as kernels
from risk_tasks.model.measures import MeasureName, tail_rank


def net_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    net = trades.run.exposures[0, 0]
    return straight_exit(trades, net, trades.direction, level, sign)


def gross_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _sides_exit(trades, 1.0, 1.0, level, sign)


def long_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _sides_exit(trades, 1.0, 0.0, level, sign)


def short_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _sides_exit(trades, 0.0, 1.0, level, sign)


def straight_exit(
    trades: Trades, at_start: FloatArray | float, slope: FloatArray, level: float, sign: float
) -> FloatArray:
    """Return the exit of a straight line from `at_start` on."""
    zero = np.zeros(len(trades))
    return first_exit([zero], lambda *_: (sign * (at_start - level) + zero, sign * slope, zero))


def _sides_exit(
    trades: Trades, of_long: float, of_short: float, level: float, sign: float
) -> FloatArray:
    """Return the exit of so much of the long and so much of the short exposure."""
    _, long, short = trades.run.exposures[0]
    held = _side(trades.value, of_long, of_short)

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        value = trades.value + trades.direction * start
        grown = _side(value, of_long, of_short) - held
        rising = trades.value + trades.direction * inside > 0.0
        slope = trades.direction * np.where(rising, of_long, -of_short)
        exposure = of_long * long + of_short * short + grown
        return sign * (exposure - level), sign * slope, np.zeros(len(trades))

    return first_exit([np.zeros(len(trades)), trades.turn], excess)


def _side(value: FloatArray, of_long: float, of_short: float) -> FloatArray:
    return of_long * np.maximum(value, 0.0) + of_short * np.maximum(-value, 0.0)


def leverage_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """Gross is held against `level` times the net asset value, which moves where it is implied."""
    run = trades.run
    nav, implied = run.nav[0], bool(np.isnan(run.block.nav[0]))
    nav_slope = trades.direction if implied else np.zeros(len(trades))

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        size, growth = trades.size(start, inside)
        over = trades.others[0] + size - level * (nav + nav_slope * start)
        return sign * over, sign * (growth - level * nav_slope), np.zeros(len(trades))

    exits = first_exit([np.zeros(len(trades)), trades.turn], excess)
    # Without a net asset value there is no leverage to tell.
    return np.where(nav_slope < 0.0, np.minimum(exits, nav), exits)


def concentration_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """The larger of the position and the largest other one is held against gross."""
    gross, _, largest = trades.others

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        size, growth = trades.size(start, inside)
        leads = trades.size(inside, inside)[0] > largest
        over = np.where(leads, size, largest) - level * (gross + size)
        slope = growth * (leads - level)
        return sign * over, sign * slope, np.zeros(len(trades))

    grows = trades.direction * trades.value >= 0.0
    size = np.abs(trades.value)
    falls_behind = np.where(grows, 0.0, np.maximum(size - largest, 0.0))
    catches_up = np.where(grows, np.maximum(largest - size, 0.0), size + largest)
    starts = [np.zeros(len(trades)), falls_behind, trades.turn, catches_up]
    return _of_shares(trades, first_exit(starts, excess), level, sign)


def herfindahl_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """The sum of squares is held against the square of gross."""
    gross, squares, _ = trades.others

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        size, growth = trades.size(start, inside)
        over = squares + size * size - level * (gross + size) ** 2
        slope = 2.0 * growth * (size - level * (gross + size))
        # A position that cannot move does not grow.
        bend = (1.0 - level) * growth * growth
        return sign * over, sign * slope, sign * bend

    exits = first_exit([np.zeros(len(trades)), trades.turn], excess)
    return _of_shares(trades, exits, level, sign)


def _of_shares(trades: Trades, exits: FloatArray, level: float, sign: float) -> FloatArray:
    """Return `exits` of what lies from 0 to 1, and is 1 for a position that stands alone."""
    if (sign > 0.0 and level >= 1.0) or (sign < 0.0 and level <= 0.0):
        return np.full(len(trades), np.inf)
    alone = trades.others[0] == 0.0
    return np.where(alone, 0.0 if sign * (1.0 - level) > 0.0 else np.inf, exits)


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


def stress_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _exit(trades, trades.run.market.scenarios[name.item or ""], level, sign)


def worst_stress_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """The worst is below `level` only where all of them are, which is one stretch of each line."""
    scenarios = trades.run.market.scenarios.values()
    if sign > 0.0:
        exits: FloatArray = np.min([_exit(trades, one, level, sign) for one in scenarios], axis=0)
        return exits
    told = np.min([_told_exit(trades, one) for one in scenarios], axis=0)
    lines = [_line(trades, one) for one in scenarios]
    starts = np.max([_enters(loss - level, slope) for loss, slope in lines], axis=0)
    stops = np.min([_leaves(loss - level, slope) for loss, slope in lines], axis=0)
    first: FloatArray = np.minimum(told, np.where(starts < stops, starts, np.inf))
    return first


def _exit(trades: Trades, scenario: ShockArrays, level: float, sign: float) -> FloatArray:
    loss, slope = _line(trades, scenario)
    return np.minimum(_told_exit(trades, scenario), straight_exit(trades, loss, slope, level, sign))


def _line(trades: Trades, scenario: ShockArrays) -> tuple[float, FloatArray]:
    """Return the loss of the book as it is, and what each unit of x adds (K,); 0 where untold."""
    change = scenario.change[trades.instrument]
    if scenario.absolute is not None:
        per_unit = scenario.absolute[trades.instrument]
        change = np.where(per_unit, change / trades.price, change)
    slope = np.where(np.isfinite(change), -trades.direction * change, 0.0)
    return float(losses(trades.run, scenario).sum()), slope


def _told_exit(trades: Trades, scenario: ShockArrays) -> FloatArray:
    """Return up to where the scenario tells the loss: all of it, and of enough of the book."""
    change, moves = scenario.change[trades.instrument], trades.direction != 0.0
    if scenario.absolute is not None:
        # A unit that is worth nothing and loses something has no x.
        lost = scenario.absolute[trades.instrument] & (change != 0.0)
        moves |= lost
        change = np.where(lost & (trades.direction == 0.0), np.nan, change)
    told = np.where(moves & np.isnan(change), 0.0, np.inf)
    return np.minimum(told, _coverage_exit(trades, scenario))


def _coverage_exit(trades: Trades, scenario: ShockArrays) -> FloatArray:
    """Return up to where a replay covers as much of the gross exposure as it asks for."""
    least, zero = scenario.min_coverage, np.zeros(len(trades))
    if least >= 1.0:
        return zero + np.inf
    covered = scenario.covered[trades.instrument]
    held = np.abs(trades.run.value)
    of_covered = np.where(scenario.covered[trades.run.block.instrument], held, 0.0).sum()
    others = least * trades.others[0] - (of_covered - np.where(covered, np.abs(trades.value), 0.0))
    weight = np.where(covered, least - 1.0, least)

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        size, growth = trades.size(start, inside)
        return others + weight * size, weight * growth, zero

    return first_exit([zero, trades.turn], excess)


def _enters(over: float, slope: FloatArray) -> FloatArray:
    """Return from where on, x >= 0, a line is below 0: +inf for nowhere."""
    if over < 0.0:
        return np.zeros(len(slope))
    return np.where(slope < 0.0, -over / slope, np.inf)


def _leaves(over: float, slope: FloatArray) -> FloatArray:
    """Return up to where a line that is below 0 somewhere stays so."""
    if over >= 0.0:
        return np.full(len(slope), np.inf)
    return np.where(slope > 0.0, -over / slope, np.inf)


#: measures of scenarios: absolute moves change them even for positions that are worth nothing
SCENARIO_LOSSES = ("stress_loss", "worst_stress_loss")

#: how the exit of each measure is computed; the others have no headroom
EXITS: Mapping[str, Callable[[Trades, MeasureName, float, float], FloatArray]] = {
    "market_value": net_exit,
    "net_exposure": net_exit,
    "gross_exposure": gross_exit,
    "long_exposure": long_exit,
    "short_exposure": short_exit,
    "gross_leverage": leverage_exit,
    "concentration": concentration_exit,
    "herfindahl": herfindahl_exit,
    "volatility": volatility_exit,
    "ewma_volatility": ewma_exit,
    "parametric_value_at_risk": parametric_exit,
    "student_value_at_risk": student_exit,
    "student_expected_shortfall": student_shortfall_exit,
    "value_at_risk": value_at_risk_exit,
    "expected_shortfall": shortfall_exit,
    "stress_loss": stress_exit,
    "worst_stress_loss": worst_stress_exit,
}
