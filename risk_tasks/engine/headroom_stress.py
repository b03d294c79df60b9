"""How much may be traded before a loss under named scenarios passes a level.

An exit is (K,): the largest x such that on [0, x] the measure is not beyond `level`, above it for a
`sign` of 1 and below it for -1; +inf where it never is.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import FloatArray
from risk_tasks.engine.headroom_exposures import straight_exit
from risk_tasks.engine.market import ShockArrays
from risk_tasks.engine.trades import Trades
from risk_tasks.model.measures import MeasureName


def stress_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    return _exit(trades, trades.run.market.scenarios[name.item or ""], level, sign)


def worst_stress_exit(trades: Trades, name: MeasureName, level: float, sign: float) -> FloatArray:
    """The worst is below `level` only where all of them are, which is one stretch of each line."""
    scenarios = trades.run.market.scenarios.values()
    if sign > 0.0:
        exits: FloatArray = np.min([_exit(trades, one, level, sign) for one in scenarios], axis=0)
        return exits
    lines = [_line(trades, one) for one in scenarios]
    starts = np.max([_enters(loss - level, slope) for loss, slope in lines], axis=0)
    stops = np.min([_leaves(loss - level, slope) for loss, slope in lines], axis=0)
    untold = np.isnan([slope for _, slope in lines]).any(axis=0)
    return np.where(untold, 0.0, np.where(starts < stops, starts, np.inf))


def _exit(trades: Trades, scenario: ShockArrays, level: float, sign: float) -> FloatArray:
    loss, slope = _line(trades, scenario)
    exits = straight_exit(trades, loss, np.where(np.isnan(slope), 0.0, slope), level, sign)
    # What the scenario says nothing of makes all of it untold.
    return np.where(np.isnan(slope), 0.0, exits)


def _line(trades: Trades, scenario: ShockArrays) -> tuple[float, FloatArray]:
    """Return the loss of the book as it is, and what each unit of x adds (K,)."""
    run = trades.run
    shock = scenario.shock[run.block.instrument]
    loss = float(-(run.value * np.where(run.value == 0.0, 0.0, shock)).sum())
    return loss, -trades.direction * scenario.shock[trades.instrument]


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
