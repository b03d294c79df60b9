"""Backtests of the historical VaR: each day's VaR, from the days before it, against its P&L."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import floor

import numpy as np

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.common_rows import parts_of
from risk_tasks.engine.computation import Computation, FloatArray
from risk_tasks.engine.market import MarketArrays
from risk_tasks.errors import InvalidMarketError, InvalidPortfolioError, InvalidSettingsError
from risk_tasks.kernels import history
from risk_tasks.model.backtest import Backtest, backtest
from risk_tasks.model.measures import (
    MeasureSettings,
    VarConvention,
    min_observations,
    parse_confidence,
    var_position,
)

#: a trading year, as in Basel 1996
WINDOW = 250


def rolling_backtest(
    block: PortfolioBlock,
    market: MarketArrays,
    confidence: str | float | Decimal,
    *,
    window: int = WINDOW,
    convention: VarConvention = VarConvention.CONSERVATIVE,
) -> Backtest:
    """Backtest the one-day historical VaR of the one portfolio in `block` on the market's returns.

    Every day after the first `window` is tested: its P&L against the VaR of the `window` days
    before it. Both are hypothetical: today's quantities and prices with the returns of that day. A
    day on which a held instrument has no return is excluded. `exceptions` are days of the market,
    counted back from its last day.

    Raises `InvalidSettingsError` for an invalid confidence, or a window that is too short for its
    tail; `InvalidMarketError` if fewer than `window` + 1 days have returns for all positions; and
    `InvalidPortfolioError` if the P&L is too large for a double.
    """
    confidence = parse_confidence(confidence)
    check_window(window, confidence)
    part = parts_of(block, market)[0]
    with np.errstate(all="ignore"):
        run = Computation(part.block, part.market, MeasureSettings(confidence), 1)
        pnl, overflows = run.pnl[0], bool(run.overflows[0])
    if overflows:
        raise InvalidPortfolioError(
            "The P&L is too large to be computed.",
            field="positions",
            remedy="Give smaller quantities.",
        )
    days = np.flatnonzero(~np.isnan(pnl))
    check_history(len(days), window)
    seen = pnl[days]
    bounds = rolling_value_at_risk(seen, window, confidence, convention)
    result = backtest(seen[window:], bounds, confidence)
    # `result` counts tested days; report days of the market instead.
    exceptions = days[np.array(result.exceptions, dtype=np.int64) - 1].tolist()
    last = market.n_observations - 1
    return replace(result, exceptions=tuple(part.row_in_market(day) - last for day in exceptions))


def rolling_value_at_risk(
    pnl: FloatArray, window: int, confidence: str, convention: VarConvention
) -> FloatArray:
    """Return the VaR (T - window,) of each day of `pnl` (T,) after the first `window` days.

    `pnl` is finite, oldest first, profit positive; VaR is loss positive, in the same currency.
    """
    position = var_position(window, confidence, convention)
    rank = floor(position)
    windows = np.lib.stride_tricks.sliding_window_view(pnl, window)[:-1]
    ordered = np.partition(windows, (rank, min(rank + 1, window - 1)), axis=1)
    worst = np.ascontiguousarray(ordered[:, : rank + 2])
    bounds = np.empty(len(windows))
    weight = np.full(len(windows), float(position - rank))
    history.value_at_risk(worst, np.full(len(windows), rank), weight, bounds)
    return bounds


def check_window(window: int, confidence: str) -> None:
    """Raise `InvalidSettingsError` unless `window` is an integer that suffices for the tail."""
    least = min_observations(confidence)
    if isinstance(window, bool) or not isinstance(window, int) or window < least:
        raise InvalidSettingsError(
            f"A window of {window!r} days is too short for the tail beyond {confidence}.",
            field="window",
            remedy=f"Give {least} days or more, or a lower confidence.",
        )


def check_history(n_days: int, window: int) -> None:
    """Raise `InvalidMarketError` unless at least one day remains to be tested."""
    if n_days <= window:
        raise InvalidMarketError(
            f"A window of {window} days needs {window + 1} days of returns; there are {n_days}.",
            field="returns",
            remedy="Give more prices, or a shorter window.",
        )
