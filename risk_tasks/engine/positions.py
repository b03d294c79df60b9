"""Measures of one instrument in a portfolio: its contribution to the risk of the whole.

A measure returns a column (P,); its parts are (N,) for a block of one book. Both are scaled to the
horizon; units and signs are those of the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.computation import (
    BoolArray,
    Computation,
    FloatArray,
    Functions,
    column_of,
    confidence_of,
    normal_quantile,
    observed,
    ranks_by_window,
    shortfall_rank,
    spread_window,
    tail_depth,
    tail_window,
    worst_outcomes,
)
from risk_tasks.engine.conditioning import LARGEST_ERROR, allowed_error, centred, rounds_beyond
from risk_tasks.kernels.history import shortfall_of_one
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName

#: computes a column (P,) for the instrument with this index in the market
ColumnOfInstrument = Callable[[Computation, MeasureName, int], MeasureColumn]


def marginal_value_at_risk(run: Computation, name: MeasureName, index: int) -> MeasureColumn:
    noise = rounds_beyond(run, _allowed_error(run, index))
    return column_of(
        run,
        _marginal(run, name, index),
        spread_window(run),
        (_lacks_returns(run, index), Outcome.MISSING_RETURNS),
        (noise, Outcome.ILL_CONDITIONED),
    )


def component_value_at_risk(run: Computation, name: MeasureName, index: int) -> MeasureColumn:
    held = _value_held(run, index)
    # Adding 0.0 turns -0.0 into 0.0, here and below.
    part = held * _marginal(run, name, index) + 0.0
    noise = (held != 0.0) & rounds_beyond(run, _allowed_error(run, index))
    return column_of(run, part, spread_window(run), (noise, Outcome.ILL_CONDITIONED))


def incremental_value_at_risk(run: Computation, name: MeasureName, index: int) -> MeasureColumn:
    quantity = np.where(run.block.instrument == index, 0.0, run.block.quantity)
    without = Computation(replace(run.block, quantity=quantity), run.market, run.settings, 1)
    gained = run.deviation - _deviation_where(run, without)
    return column_of(run, _scale(run, name) * gained + 0.0, spread_window(run))


def component_expected_shortfall(run: Computation, name: MeasureName, index: int) -> MeasureColumn:
    rank, n_tail = ranks_by_window(run.n_observations, lambda n: shortfall_rank(run, name, n))
    returns = run.panel[index].astype(np.float64)
    last = np.take_along_axis(run.tail, rank[:, None] - 1, axis=1)[:, 0]
    total = np.empty(len(run.block))
    shortfall_of_one(run.pnl, last, rank, n_tail, _value_held(run, index), returns, total)
    total *= run.horizon_scale
    return column_of(run, total, tail_window(run, confidence_of(name, run.settings)))


def beta(run: Computation, name: MeasureName, index: int) -> MeasureColumn:
    seen = np.where(np.isnan(run.pnl), np.nan, run.panel[index])
    # By extremes: the variance of a constant series need not be 0 after rounding.
    still = np.fmax.reduce(seen, axis=1, initial=-np.inf) <= np.fmin.reduce(
        seen, axis=1, initial=np.inf
    )
    variance = _covariance(run, seen, index)
    noise = rounds_beyond(run, LARGEST_ERROR * np.sqrt(variance) * run.gross)
    return column_of(
        run,
        _covariance(run, run.pnl, index) / np.where(variance > 0.0, variance, np.nan) / run.nav
        + 0.0,
        spread_window(run),
        (np.isnan(run.nav), Outcome.NAV_UNKNOWN),
        (run.nav <= 0.0, Outcome.NAV_NOT_POSITIVE),
        (_lacks_returns(run, index), Outcome.MISSING_RETURNS),
        (still, Outcome.NO_VARIANCE),
        (noise, Outcome.ILL_CONDITIONED),
    )


def beta_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Return the beta of each position, relative to the value of the whole portfolio."""
    _, legs = observed(run)
    returns = run.panel[run.market.index[name.item or ""]][~np.isnan(run.pnl[0])]
    departure = returns - returns.mean()
    slopes = (centred(legs) * departure).sum(axis=1) / (departure * departure).sum()
    parts: FloatArray = slopes / run.nav[0]
    return parts


def _functions(of_instrument: ColumnOfInstrument) -> Functions:
    """Return the functions of a measure to which only one instrument contributes."""

    def column(run: Computation, name: MeasureName) -> MeasureColumn:
        index = run.market.index.get(name.item or "")
        if index is None:
            return MeasureColumn.missing(len(run.block), Outcome.UNKNOWN_INSTRUMENT)
        return of_instrument(run, name, index)

    def parts(run: Computation, name: MeasureName) -> FloatArray:
        index = run.market.index.get(name.item or "")
        return np.where(run.block.instrument == index, column(run, name).values[0], 0.0)

    return Functions(column, parts)


def _scale(run: Computation, name: MeasureName) -> float:
    return normal_quantile(run, name) * run.horizon_scale


def _value_held(run: Computation, index: int) -> FloatArray:
    """Return (P,): the value of each portfolio's position in the instrument, else 0."""
    found: npt.NDArray[np.int64] = np.flatnonzero(run.block.instrument == index)
    held = np.zeros(len(run.block))
    held[run.block.rows_of(found)] = run.value[found]
    return held


def _marginal(run: Computation, name: MeasureName, index: int) -> FloatArray:
    """Return (P,): z cov(r_i, P&L) / sd over the observations of each portfolio; 0 if sd is 0."""
    spread = np.where(run.deviation == 0.0, np.inf, run.deviation)
    marginal: FloatArray = _scale(run, name) * _covariance(run, run.pnl, index) / spread + 0.0
    return marginal


def _covariance(run: Computation, series: FloatArray, index: int) -> FloatArray:
    """Return (P,): sample covariance of `series` (P, T), NaN if missing, with an instrument."""
    n = np.maximum(run.n_observations, 2)
    mean = np.nansum(series, axis=1, keepdims=True) / n[:, None]
    departure = np.where(np.isnan(series), 0.0, series - mean)
    covariance: FloatArray = (departure * _departures(run, index)).sum(axis=1) / (n - 1)
    return covariance


def _departures(run: Computation, index: int) -> FloatArray:
    """Return (P, T): deviations of the returns of an instrument over each portfolio's outcomes."""
    returns = run.panel[index].astype(np.float64)
    seen = ~np.isnan(run.pnl) & ~np.isnan(returns)
    kept = np.where(seen, returns, 0.0)
    mean = kept.sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return np.where(seen, kept - mean, 0.0)


def _allowed_error(run: Computation, index: int) -> FloatArray:
    """Return (P,): `allowed_error` of the position in an instrument."""
    departures = _departures(run, index)
    n = np.maximum(run.n_observations, 2)
    spread = np.sqrt((departures * departures).sum(axis=1) / (n - 1))
    return allowed_error(run.deviation, np.abs(_value_held(run, index)) * spread)


def _deviation_where(run: Computation, without: Computation) -> FloatArray:
    """Return (P,): the deviation of the P&L of `without` over the outcomes of `run`."""
    if run.has_full_windows:
        return without.deviation
    p = len(run.block)
    pnl = np.where(np.isnan(run.pnl), np.nan, without.pnl)
    # The P&L of a portfolio as the returns of a position of value 1, which changes no bit.
    return worst_outcomes(np.arange(p + 1), np.arange(p), np.ones(p), pnl, 1)[2]


def _lacks_returns(run: Computation, index: int) -> BoolArray:
    """Return (P,): whether the instrument lacks a return in an outcome that is observed."""
    gaps: BoolArray = (np.isnan(run.panel[index]) & ~np.isnan(run.pnl)).any(axis=1)
    return gaps


FUNCTIONS = {
    "marginal_value_at_risk": _functions(marginal_value_at_risk),
    "component_value_at_risk": _functions(component_value_at_risk),
    "incremental_value_at_risk": _functions(incremental_value_at_risk),
    "component_expected_shortfall": _functions(component_expected_shortfall)._replace(
        depth=tail_depth
    ),
    "beta": _functions(beta)._replace(parts=beta_parts),
}
