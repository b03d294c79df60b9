"""Measures of past P&L in which the latest observations weigh most."""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import Computation, FloatArray, Functions
from risk_tasks.engine.windows import column_of, observed
from risk_tasks.kernels import weighted
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.measures import MeasureName


def ewma_volatility(run: Computation, name: MeasureName) -> MeasureColumn:
    spread = np.empty(len(run.block))
    weighted.ewma_volatility(run.pnl, run.settings.decay, spread)
    return column_of(run, spread * run.horizon_scale, 2)


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


FUNCTIONS = {
    "ewma_volatility": Functions(ewma_volatility, ewma_volatility_parts),
}
