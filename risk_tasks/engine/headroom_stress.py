"""How much may be traded before a loss under named scenarios passes a level.

An exit is (K,): the largest x such that on [0, x] the measure is not beyond `level`, above it for a
`sign` of 1 and below it for -1; +inf where it never is.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import FloatArray
from risk_tasks.engine.headroom_exposures import straight_exit
from risk_tasks.engine.shocks import ShockArrays
from risk_tasks.engine.stress import losses
from risk_tasks.engine.trades import Parabola, Trades, first_exit
from risk_tasks.model.measures import MeasureName


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


EXITS = {"stress_loss": stress_exit, "worst_stress_loss": worst_stress_exit}
