"""Volatility by a covariance of what is held, shrunk towards one without correlations.

A column (P,), parts (N,), both scaled to the horizon; base currency, never negative.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import Computation, FloatArray, Functions, IntArray
from risk_tasks.engine.windows import column_of, observed, sharing_days, spread_window
from risk_tasks.kernels.covariance import ledoit_wolf
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.measures import MeasureName


def shrunk_volatility(run: Computation, name: MeasureName) -> MeasureColumn:
    spread = _shrunk(run)[:, 0]
    return column_of(run, spread * run.horizon_scale, spread_window(run), sharing_days(run))


def shrunk_volatility_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts: V_i (S* V)_i over the volatility, V of all that is held of the instrument."""
    spread, shrinkage, mu = _shrunk(run)[0]
    if spread == 0.0:
        return np.zeros(len(run.value))
    pnl, legs = observed(run)
    # In units of the spread: squares of small positions would vanish.
    centred, value = (pnl - pnl.mean()) / spread, run.value / spread
    _, same = np.unique(run.block.instrument, return_inverse=True)
    of_instrument = np.bincount(same, weights=value)[same]
    sampled = (legs * centred).sum(axis=1) / len(pnl)
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
    """Return offsets, instruments and values of what is held, in the order of the market.

    Positions in one instrument are one; neither their order nor what is not held moves a bit.
    """
    held, n = np.flatnonzero(run.value), len(run.market.prices)
    owner = np.searchsorted(run.block.offsets, held, side="right") - 1
    keys, place = np.unique(owner * n + run.block.instrument[held], return_inverse=True)
    value = np.bincount(place, weights=run.value[held], minlength=len(keys))
    keys, value = keys[value != 0.0], value[value != 0.0]
    return np.searchsorted(keys, n * np.arange(len(run.block) + 1)), keys % n, value


FUNCTIONS = {"shrunk_volatility": Functions(shrunk_volatility, shrunk_volatility_parts)}
