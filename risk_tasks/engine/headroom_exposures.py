"""How much may be traded before a measure of what is held passes a level: in closed form.

An exit is (K,): the largest x such that on [0, x] the measure is not beyond `level`, above it for a
`sign` of 1 and below it for -1; +inf where it never is.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import FloatArray
from risk_tasks.engine.trades import Parabola, Trades, first_exit
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


EXITS = {
    "market_value": net_exit,
    "net_exposure": net_exit,
    "gross_exposure": gross_exit,
    "long_exposure": long_exit,
    "short_exposure": short_exit,
    "gross_leverage": leverage_exit,
    "concentration": concentration_exit,
    "herfindahl": herfindahl_exit,
}
