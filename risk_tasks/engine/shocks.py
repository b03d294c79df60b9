"""Scenarios over all instruments of a market, in the layout that kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.scenario import Replay, Scenario

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
DateArray = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class ShockArrays:
    """One scenario over all instruments.

    `change` (n,) is a fraction of an instrument's value, or, where `absolute` (n,) holds, base
    currency per unit; NaN where it is untold. `absolute` is None where no change is. `named` (n,)
    marks what the scenario names itself, or by a tag, or covers; `covered` (n,) what it tells
    without the fallback of a replay, which fills in as long as `min_coverage` of a book's gross
    exposure is covered.
    """

    change: FloatArray
    named: BoolArray
    covered: BoolArray
    absolute: BoolArray | None = None
    min_coverage: float = 1.0


def lay_out(snapshot: MarketSnapshot, dates: DateArray | None) -> dict[str, ShockArrays]:
    """Return the scenarios of `snapshot`, whose observations have these `dates`, by name."""
    return {
        name: _replayed(scenario, snapshot.returns, dates)
        if isinstance(scenario, Replay)
        else _shocked(scenario, snapshot)
        for name, scenario in snapshot.scenarios.items()
    }


def _shocked(scenario: Scenario, snapshot: MarketSnapshot) -> ShockArrays:
    n, index = len(snapshot.instruments), snapshot.index
    change = np.full(n, np.nan if scenario.others is None else scenario.others)
    named, absolute = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    relative: Mapping[str, float] = {**scenario.tagged(snapshot.tags), **scenario.shocks}
    for changes, is_absolute in ((relative, False), (scenario.moves, True)):
        for instrument, by in changes.items():
            if instrument in index:
                place = index[instrument]
                change[place], named[place], absolute[place] = by, True, is_absolute
    return ShockArrays(change, named, ~np.isnan(change), absolute if absolute.any() else None)


def _replayed(replay: Replay, returns: FloatArray, dates: DateArray | None) -> ShockArrays:
    change = window_returns(returns, dates, replay.start, replay.end)
    covered = ~np.isnan(change)
    if replay.others is not None:
        change[~covered] = replay.others
    return ShockArrays(change, covered, covered, min_coverage=replay.min_coverage)


def window_returns(
    returns: FloatArray, dates: DateArray | None, start: date, end: date
) -> FloatArray:
    """Return prod(1 + r) - 1 of each instrument over the observations from `start` to `end`.

    `returns` has shape (T, n), `dates` (T,), the result (n,). It is NaN where a return within is
    missing or the product is too large for a number, and throughout where there is no observation
    or the dates do not reach from `start` to `end`.
    """
    grown = np.full(returns.shape[1], np.nan)
    first, last = np.datetime64(start), np.datetime64(end)
    if dates is None or not dates.size or first < dates[0] or last > dates[-1]:
        return grown
    within = returns[np.searchsorted(dates, first) : np.searchsorted(dates, last, side="right")]
    if len(within):
        grown[:] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        # Row by row: no order is promised for a reduction of NumPy.
        for row in within:
            grown *= 1.0 + row
    return np.where(np.isfinite(grown), grown - 1.0, np.nan)
