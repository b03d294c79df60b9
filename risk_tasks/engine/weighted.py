"""Measures of past P&L that weight recent observations most."""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import (
    Computation,
    FloatArray,
    Functions,
    by_window,
    column_of,
    confidence_of,
    observed,
    overlapping,
    spread_window,
    tail_depth,
    tail_length,
    tail_window,
    var_rank,
    worst_outcomes,
)
from risk_tasks.engine.history import losses_at_risk, parts_at_risk
from risk_tasks.kernels import weighted
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName


def ewma_volatility(run: Computation, name: MeasureName) -> MeasureColumn:
    spread = np.empty(len(run.block))
    weighted.ewma_volatility(run.pnl, run.settings.decay, spread)
    return column_of(run, spread * run.horizon_scale, spread_window(run), overlapping(run))


def ewma_volatility_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts: the weighted mean of each position's P&L times all P&L, over the volatility."""
    pnl, legs = observed(run)
    weight = run.settings.decay ** np.arange(len(pnl))[::-1]
    weight /= weight.sum()
    spread = float(np.sqrt((weight * pnl * pnl).sum()))
    if spread == 0.0:
        return np.zeros(len(run.value))
    parts: FloatArray = (legs * (weight * pnl)).sum(axis=1) / spread
    return parts * run.horizon_scale


def age_weighted_value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    losses = _age_weighted_losses(run, name)
    gains = (losses < 0, Outcome.NEGATIVE_VAR)
    required = tail_window(run, confidence_of(name, run.settings))
    return column_of(run, losses * run.horizon_scale, required, gains)


def age_weighted_value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's loss in the outcome that is the VaR."""
    pnl, legs = observed(run)
    scene = int(np.argmax(pnl == -_age_weighted_losses(run, name)[0]))
    return -legs[:, scene] * run.horizon_scale


def _age_weighted_losses(run: Computation, name: MeasureName) -> FloatArray:
    confidence = confidence_of(name, run.settings)
    n_tail = by_window(run.n_observations, np.float64, lambda n: tail_length(n, confidence))
    losses = np.empty(len(run.block))
    weighted.age_weighted_value_at_risk(run.pnl, run.settings.age_decay, n_tail, losses)
    return losses


def filtered_value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    """Rank the scaled P&L as the returns of single-instrument portfolios of value 1."""
    scaled, p = run.pnl * _volatility_ratio(run), len(run.block)
    depth = tail_depth(run.n_outcomes, name, run.settings)
    worst, n_scaled, _ = worst_outcomes(np.arange(p + 1), np.arange(p), np.ones(p), scaled, depth)
    losses = losses_at_risk(worst, n_scaled, lambda n: var_rank(run, name, n))
    required = tail_window(run, confidence_of(name, run.settings))
    too_short = (n_scaled < required, Outcome.WINDOW_TOO_SHORT)
    gains = (losses < 0, Outcome.NEGATIVE_VAR)
    return column_of(run, losses * run.horizon_scale, required, too_short, overlapping(run), gains)


def filtered_value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's loss in the outcome of the VaR, scaled like the P&L of the whole."""
    pnl, legs = observed(run)
    ratio = _volatility_ratio(run)[0][~np.isnan(run.pnl[0])]
    kept = ~np.isnan(pnl * ratio)
    scaled = (pnl * ratio)[kept]
    return parts_at_risk(run, var_rank(run, name, len(scaled)), scaled, (legs * ratio)[:, kept])


def _volatility_ratio(run: Computation) -> FloatArray:
    ratio = np.empty_like(run.pnl)
    weighted.volatility_ratio(run.pnl, run.settings.decay, ratio)
    return ratio


FUNCTIONS = {
    "ewma_volatility": Functions(ewma_volatility, ewma_volatility_parts),
    "age_weighted_value_at_risk": Functions(
        age_weighted_value_at_risk, age_weighted_value_at_risk_parts
    ),
    "filtered_value_at_risk": Functions(filtered_value_at_risk, filtered_value_at_risk_parts),
}
