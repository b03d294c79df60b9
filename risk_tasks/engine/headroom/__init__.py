"""Headroom: the largest trade in each position that does not break a limit.

Results are exact up to rounding; the caller checks the portfolio after the trade.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.common_rows import parts_of
from risk_tasks.engine.computation import Computation, FloatArray
from risk_tasks.engine.headroom.exits import EXITS, SCENARIO_LOSSES
from risk_tasks.engine.headroom.trades import Trades
from risk_tasks.engine.market import MarketArrays
from risk_tasks.model.limits import Comparison
from risk_tasks.model.measures import MeasureName, MeasureSettings

#: the measures that have headroom
BOUNDED = frozenset(EXITS)


def largest_trades(
    book: PortfolioBlock,
    market: MarketArrays,
    settings: MeasureSettings,
    bounds: Sequence[tuple[MeasureName, Comparison, float]],
) -> FloatArray:
    """Return (B, 2 N): for each bound, the units of each position to buy, then those to sell.

    `book` is one portfolio within every bound, a measure of `EXITS` with its threshold. Each number
    is the largest q >= 0 such that the portfolio stays within the bound for every trade of [0, q]
    in that position alone; +inf if no trade breaks it.
    """
    settings = market.in_rows(settings)
    units = _largest_trades(book, market, settings, bounds)
    if market.calendars is None:
        return units
    # A position that is worth 0 has days of its own once it is traded.
    values = market.values(book)
    code = market.calendars.code[book.instrument]
    n = len(values)
    for at in np.flatnonzero((values == 0.0) & (code > 0)).tolist():
        of_it = _largest_trades(book, market, settings, bounds, int(book.instrument[at]))
        units[:, [at, n + at]] = of_it[:, [at, n + at]]
    return units


def _largest_trades(
    book: PortfolioBlock,
    market: MarketArrays,
    settings: MeasureSettings,
    bounds: Sequence[tuple[MeasureName, Comparison, float]],
    *others: int,
) -> FloatArray:
    part = parts_of(book, market, *others)[0]
    with np.errstate(all="ignore"):
        trades = Trades(Computation(part.block, part.market, settings, 1))
        rows = [_units(trades, bound[0], _exit(trades, *bound)) for bound in bounds]
        return np.array(rows).reshape(len(rows), len(trades))


def _units(trades: Trades, name: MeasureName, exits: FloatArray) -> FloatArray:
    """Return `exits` in units; a position of price 0 changes only losses of absolute moves."""
    unmoved = trades.value_per_unit == 0.0
    at_rest = exits if name.name in SCENARIO_LOSSES else np.full(len(exits), np.inf)
    units = np.where(unmoved, at_rest, exits / np.abs(trades.value_per_unit))
    return np.where(np.isnan(units), 0.0, units)


def _exit(
    trades: Trades, name: MeasureName, comparison: Comparison, threshold: float
) -> FloatArray:
    exit_of = EXITS[name.name]
    match comparison:
        case Comparison.ABOVE:
            return exit_of(trades, name, threshold, 1.0)
        case Comparison.BELOW:
            return exit_of(trades, name, threshold, -1.0)
        case Comparison.ABSOLUTE:
            above = exit_of(trades, name, threshold, 1.0)
            return np.minimum(above, exit_of(trades, name, -threshold, -1.0))
