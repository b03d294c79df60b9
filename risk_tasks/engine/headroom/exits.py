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
    confidence_of,
    normal_quantile,
    ranks_by_window,
    shortfall_rank,
    spread_window,
    tail_window,
    var_rank,
)
from risk_tasks.engine.headroom.trades import Parabola, Trades, first_exit
from risk_tasks.engine.market import ShockArrays
from risk_tasks.engine.parametric import student_factors
from risk_tasks.engine.stress import losses
from risk_tasks.kernels import headroom as kernels
from risk_tasks.model.measures import MeasureName


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
    """Return the exit of a line that starts at `at_start`."""
    zero = np.zeros(len(trades))
    return first_exit([zero], lambda *_: (sign * (at_start - level) + zero, sign * slope, zero))


def _sides_exit(
    trades: Trades, of_long: float, of_short: float, level: float, sign: float
) -> FloatArray:
    """Return the exit of `of_long` times the long plus `of_short` times the short exposure."""
    _, long, short, _ = trades.run.exposures[0]
    held = _side(trades.value, of_long, of_short)

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        value = trades.value + trades.direction * start
        grown = _side(value, of_long, of_short) - held
        rising = trades.value + trades.direction * inside > 0.0
        slope = trades.direction * np.where(rising, of_long, -of_short)
        exposure = of_long * long + of_short * short + grown
        return sign * (exposure - level), sign * slope, np.zeros(len(trades))

    return first_exit([np.zeros(len(trades)), trades.sign_change], excess)


def _side(value: FloatArray, of_long: float, of_short: float) -> FloatArray:
    return of_long * np.maximum(value, 0.0) + of_short * np.maximum(-value, 0.0)


def leverage_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """Compare gross with `level` times the net asset value, which the trade changes if implied."""
    run = trades.run
    nav, implied = run.nav[0], bool(np.isnan(run.block.nav[0]))
    nav_slope = trades.direction if implied else np.zeros(len(trades))

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        size, growth = trades.size(start, inside)
        over = trades.others[0] + size - level * (nav + nav_slope * start)
        return sign * over, sign * (growth - level * nav_slope), np.zeros(len(trades))

    exits = first_exit([np.zeros(len(trades)), trades.sign_change], excess)
    # Leverage is undefined without a positive net asset value.
    return np.where(nav_slope < 0.0, np.minimum(exits, nav), exits)


def concentration_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """Compare the larger of this and the largest other position with `level` times gross."""
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
    starts = [np.zeros(len(trades)), falls_behind, trades.sign_change, catches_up]
    return _of_shares(trades, first_exit(starts, excess), level, sign)


def herfindahl_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """Compare the sum of squares with `level` times the square of gross."""
    gross, squares, _ = trades.others

    def excess(start: FloatArray, inside: FloatArray) -> Parabola:
        size, growth = trades.size(start, inside)
        over = squares + size * size - level * (gross + size) ** 2
        slope = 2.0 * growth * (size - level * (gross + size))
        # A position of price 0 does not grow.
        bend = (1.0 - level) * growth * growth
        return sign * over, sign * slope, sign * bend

    exits = first_exit([np.zeros(len(trades)), trades.sign_change], excess)
    return _of_shares(trades, exits, level, sign)


def _of_shares(trades: Trades, exits: FloatArray, level: float, sign: float) -> FloatArray:
    """Return `exits` of a share, which lies in [0, 1] and is 1 for a single position."""
    if (sign > 0.0 and level >= 1.0) or (sign < 0.0 and level <= 0.0):
        return np.full(len(trades), np.inf)
    alone = trades.others[0] == 0.0
    return np.where(alone, 0.0 if sign * (1.0 - level) > 0.0 else np.inf, exits)


#: relative rounding of a sum of outcomes in another order
_ROUNDING = 1e-9
#: an outcome equal to the level is not beyond it
_SLACK = 1e-15


def volatility_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _spread_exit(trades, trades.variance, level, sign)


def ewma_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    if trades.run.settings.outcome_days > 1:
        return np.zeros(len(trades))  # not defined for overlapping outcomes
    return _spread_exit(trades, trades.ewma_variance, level, sign)


def parametric_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    factor = normal_quantile(trades.run, name)
    return _factored_exit(trades, factor, level, sign)


def student_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _factored_exit(trades, student_factors(trades.run, name)[0], level, sign)


def student_shortfall_exit(
    trades: Trades, name: MeasureName, level: float, sign: float
) -> FloatArray:
    return _factored_exit(trades, student_factors(trades.run, name)[1], level, sign)


def _factored_exit(trades: Trades, factor: float, level: float, sign: float) -> FloatArray:
    """Return the exit of `factor` volatilities; `factor` may be negative."""
    if factor == 0.0:
        return np.where(trades.n_observations < spread_window(trades.run), 0.0, np.inf)
    towards = sign if factor > 0.0 else -sign
    return _spread_exit(trades, trades.variance, level / factor, towards)


def _spread_exit(trades: Trades, variance: Parabola, level: float, sign: float) -> FloatArray:
    """Return the exit of the root of a parabola, by comparing its square with that of `level`."""
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
        # A new position may have missing returns, and exceed the level at once.
        beyond = sign * (a - square) > _ROUNDING * (a + square)
        exits = np.where(beyond, 0.0, exits)
    return np.where(trades.n_observations < spread_window(trades.run), 0.0, exits)


def value_at_risk_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """Count the outcomes beyond the level; below it, those of the negated portfolio."""
    run, (enough, n, pnl, slope) = trades.run, _lines(trades, name)
    rank, weight = ranks_by_window(n, lambda n: var_rank(run, name, n))
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
    return _exits(enough, found)


def shortfall_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    enough, n, pnl, slope = _lines(trades, name)
    rank, n_tail = ranks_by_window(n, lambda n: shortfall_rank(trades.run, name, n))
    level = level / trades.run.horizon_scale
    found = np.empty(len(n))
    kernels.shortfall_exit(pnl, slope, level, sign > 0.0, rank, n_tail, found)
    return _exits(enough, found)


def _exits(enough: BoolArray, found: FloatArray) -> FloatArray:
    """Return the exits `found` of the legs with `enough` observations, and 0 for the others."""
    exits = np.zeros(len(enough))
    exits[enough] = found
    return exits


def _lines(trades: Trades, name: MeasureName) -> tuple[BoolArray, IntArray, FloatArray, FloatArray]:
    """Return which legs have enough observations (K,), and their counts, P&L and slopes."""
    required = tail_window(trades.run, confidence_of(name, trades.run.settings))
    enough = trades.n_observations >= required
    return enough, trades.n_observations[enough], trades.run.pnl[0], trades.slope[enough]


def stress_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _exit(trades, trades.run.market.scenarios[name.item or ""], level, sign)


def worst_stress_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """The worst loss is below `level` only if all losses are: an interval of x for each line."""
    scenarios = trades.run.market.scenarios.values()
    if sign > 0.0:
        exits: FloatArray = np.min([_exit(trades, one, level, sign) for one in scenarios], axis=0)
        return exits
    known = np.min([_shock_exit(trades, one) for one in scenarios], axis=0)
    lines = [_line(trades, one) for one in scenarios]
    starts = np.max([_enters(loss - level, slope) for loss, slope in lines], axis=0)
    stops = np.min([_leaves(loss - level, slope) for loss, slope in lines], axis=0)
    first: FloatArray = np.minimum(known, np.where(starts < stops, starts, np.inf))
    return first


def _exit(trades: Trades, scenario: ShockArrays, level: float, sign: float) -> FloatArray:
    loss, slope = _line(trades, scenario)
    return np.minimum(
        _shock_exit(trades, scenario), straight_exit(trades, loss, slope, level, sign)
    )


def _line(trades: Trades, scenario: ShockArrays) -> tuple[float, FloatArray]:
    """Return the current loss, and its slope in x (K,); 0 for an instrument without a shock."""
    change, direction = scenario.change[trades.instrument], trades.direction
    if scenario.absolute is not None:
        per_unit = scenario.absolute[trades.instrument]
        # Of a position of price 0, x is the number of units.
        worth = np.where(trades.price == 0.0, 1.0, np.abs(trades.price))
        change = np.where(per_unit, change / worth, change)
        direction = np.where(per_unit, trades.side, direction)
    slope = np.where(np.isfinite(change), -direction * change, 0.0)
    return float(losses(trades.run, scenario).sum()), slope


def _shock_exit(trades: Trades, scenario: ShockArrays) -> FloatArray:
    """Return up to which x the scenario has a shock for every position, and enough coverage."""
    change, moves = scenario.change[trades.instrument], trades.direction != 0.0
    known = np.where(moves & np.isnan(change), 0.0, np.inf)
    return np.minimum(known, _coverage_exit(trades, scenario))


def _coverage_exit(trades: Trades, scenario: ShockArrays) -> FloatArray:
    """Return up to which x a replay covers the required share of gross exposure."""
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

    return first_exit([zero, trades.sign_change], excess)


def _enters(over: float, slope: FloatArray) -> FloatArray:
    """Return the smallest x >= 0 from which a line is below 0; +inf if none."""
    if over < 0.0:
        return np.zeros(len(slope))
    return np.where(slope < 0.0, -over / slope, np.inf)


def _leaves(over: float, slope: FloatArray) -> FloatArray:
    """Return the x up to which a line that is below 0 somewhere stays below 0."""
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
