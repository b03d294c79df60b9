"""Volatility and tail measures of the moments of past P&L."""

from __future__ import annotations

from functools import lru_cache
from math import exp, log1p, sqrt

import numpy as np
from scipy import special

from risk_tasks.engine.computation import (
    BoolArray,
    Computation,
    FloatArray,
    Functions,
    IntArray,
    column_of,
    confidence_of,
    normal_quantile,
    observed,
    overlapping,
    spread_window,
)
from risk_tasks.engine.conditioning import are_conditioned, centred
from risk_tasks.engine.history import deviation_parts
from risk_tasks.kernels.covariance import ledoit_wolf
from risk_tasks.kernels.history import moments
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName, tail_probability


def student_value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    losses = student_factors(run, name)[0] * run.deviation * run.horizon_scale
    return column_of(run, losses, spread_window(run))


def student_value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    return student_factors(run, name)[0] * deviation_parts(run, name)


def student_expected_shortfall(run: Computation, name: MeasureName) -> MeasureColumn:
    losses = student_factors(run, name)[1] * run.deviation * run.horizon_scale
    return column_of(run, losses, spread_window(run))


def student_expected_shortfall_parts(run: Computation, name: MeasureName) -> FloatArray:
    return student_factors(run, name)[1] * deviation_parts(run, name)


def student_factors(run: Computation, name: MeasureName) -> tuple[float, float]:
    """Return the Student VaR and ES in units of the one-day volatility."""
    freedom = run.settings.degrees_of_freedom
    return _student_factors(freedom, confidence_of(name, run.settings))


@lru_cache(maxsize=1024)
def _student_factors(freedom: float, confidence: str) -> tuple[float, float]:
    """Return VaR and ES of the t distribution with mean 0 and standard deviation 1.

    Loss positive. The density is written with the beta function, which is accurate for any number
    of degrees of freedom, where a quotient of gamma functions is not.
    """
    alpha = float(tail_probability(confidence))
    t = float(special.stdtrit(freedom, alpha))
    kernel = exp(-(freedom + 1) / 2 * log1p(t * t / freedom))
    density = kernel / (sqrt(freedom) * float(special.beta(0.5, freedom / 2)))
    scale = sqrt((freedom - 2) / freedom)
    shortfall = density / alpha * ((freedom + t * t) / (freedom - 1))
    return 0.0 - scale * t, scale * shortfall


def cornish_fisher_value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    shape = np.empty((len(run.block), 4))
    moments(run.pnl, shape)
    mean, deviation, skewness, kurtosis = shape.T
    expands = _expands(skewness, kurtosis)
    z = -normal_quantile(run, name)
    quantile = np.where(expands, _expansion(z, skewness, kurtosis), z)
    losses = 0.0 - (mean + quantile * deviation)
    fallen_back, gains = (~expands, Outcome.OUTSIDE_DOMAIN), (losses < 0, Outcome.NEGATIVE_VAR)
    return column_of(run, losses * run.horizon_scale, spread_window(run), fallen_back, gains)


def cornish_fisher_value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts, with those of skewness and kurtosis.

    Source: Boudt, Peterson, Croux, "Estimation and decomposition of downside risk for portfolios
    with non-normal returns", Journal of Risk 11 (2008).
    """
    shape = np.empty((1, 4))
    moments(run.pnl, shape)
    _, deviation, skewness, kurtosis = shape.T
    pnl, legs = observed(run)
    mean: FloatArray = legs.mean(axis=1)
    if deviation[0] == 0.0:
        return -mean * run.horizon_scale
    z, u = -normal_quantile(run, name), (pnl - pnl.mean()) / deviation
    departures = centred(legs)
    if not are_conditioned(run, departures):
        return np.full(len(legs), np.nan)
    departures /= deviation
    spread = (departures * u).mean(axis=1)
    skewing = 3 * (departures * u**2).mean(axis=1) - 3 * skewness * spread
    flattening = 4 * (departures * u**3).mean(axis=1) - 4 * (kurtosis + 3) * spread
    bend = ((z**2 - 1) / 6 - (2 * z**3 - 5 * z) * skewness / 18) * skewing
    bend += (z**3 - 3 * z) / 24 * flattening
    expands = _expands(skewness, kurtosis)
    quantile = np.where(expands, _expansion(z, skewness, kurtosis), z)
    parts: FloatArray = -(mean + (quantile * spread + np.where(expands, bend, 0.0)) * deviation)
    return parts * run.horizon_scale


def _expansion(z: float, skewness: FloatArray, kurtosis: FloatArray) -> FloatArray:
    third, fourth = (z**2 - 1) / 6, (z**3 - 3 * z) / 24
    return z + third * skewness + fourth * kurtosis - (2 * z**3 - 5 * z) / 36 * skewness**2


def _expands(skewness: FloatArray, kurtosis: FloatArray) -> BoolArray:
    """Whether the expansion increases in z everywhere: its derivative has at most one root."""
    a = kurtosis / 8 - skewness**2 / 6
    c = 1 - kurtosis / 8 + 5 * skewness**2 / 36
    fits: BoolArray = (a >= 0) & (skewness**2 / 9 - 4 * a * c <= 0)
    return fits


# --- the covariance of Ledoit and Wolf


def shrunk_volatility(run: Computation, name: MeasureName) -> MeasureColumn:
    spread = _shrunk(run)[:, 0]
    return column_of(run, spread * run.horizon_scale, spread_window(run), overlapping(run))


def shrunk_volatility_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts: V_i (S* V)_i over the volatility, V summed by instrument."""
    spread, shrinkage, mu = _shrunk(run)[0]
    if spread == 0.0:
        return np.zeros(len(run.value))
    pnl, legs = observed(run)
    # In units of the spread: squares of small positions would underflow.
    departure, value = (pnl - pnl.mean()) / spread, run.value / spread
    _, same = np.unique(run.block.instrument, return_inverse=True)
    of_instrument = np.bincount(same, weights=value)[same]
    sampled = (centred(legs) * departure).sum(axis=1) / len(pnl)
    drawn = shrinkage * mu * run.value * of_instrument
    parts: FloatArray = ((1.0 - shrinkage) * sampled + drawn) * run.horizon_scale
    return parts


def _shrunk(run: Computation) -> FloatArray:
    out = np.empty((len(run.block), 3))
    offsets, instrument, value = _holdings(run)
    rows, panel = run.rows_in_float64(instrument)
    ledoit_wolf(offsets, rows, value, panel, out)
    return out


def _holdings(run: Computation) -> tuple[IntArray, IntArray, FloatArray]:
    """Return offsets, instruments and values of the positions, in the order of the market.

    Positions in one instrument are added; the result does not depend on their order.
    """
    held, n = np.flatnonzero(run.value), len(run.market.prices)
    owner = run.block.rows_of(held)
    keys, inverse = np.unique(owner * n + run.block.instrument[held], return_inverse=True)
    # np.bincount returns integers where it counts nothing, and Numba would compile for them.
    value = np.bincount(inverse, weights=run.value[held]).astype(np.float64, copy=False)
    keys, value = keys[value != 0.0], value[value != 0.0]
    return np.searchsorted(keys, n * np.arange(len(run.block) + 1)), keys % n, value


FUNCTIONS = {
    "cornish_fisher_value_at_risk": Functions(
        cornish_fisher_value_at_risk, cornish_fisher_value_at_risk_parts
    ),
    "student_value_at_risk": Functions(student_value_at_risk, student_value_at_risk_parts),
    "student_expected_shortfall": Functions(
        student_expected_shortfall, student_expected_shortfall_parts
    ),
    "shrunk_volatility": Functions(shrunk_volatility, shrunk_volatility_parts),
}
