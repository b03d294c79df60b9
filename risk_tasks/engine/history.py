"""Measures of P&L over the past returns: volatility, value-at-risk, expected shortfall.

A measure is a column (P,), its parts are (N,) for the one book in the block, both scaled to the
horizon; units and signs are those of the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, floor
from statistics import NormalDist
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.computation import BoolArray, Computation, FloatArray, Functions
from risk_tasks.kernels import history as kernels
from risk_tasks.kernels import tail
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.confidence import (
    VarConvention,
    min_observations,
    tail_probability,
    tail_rank,
    var_position,
)
from risk_tasks.model.measures import MeasureName, MeasureSettings

Number = TypeVar("Number", np.int64, np.float64)


def confidence_of(name: MeasureName, settings: MeasureSettings) -> str:
    """Return the confidence that `name` asks for, or the settings' where it asks for none."""
    return name.confidence or str(settings.confidence)


@lru_cache(maxsize=1024)
def tail_depth(n_observations: int, name: MeasureName, settings: MeasureSettings) -> int:
    """Return how many worst outcomes `name` reads from a window of `n_observations`."""
    confidence = confidence_of(name, settings)
    position = var_position(n_observations, confidence, VarConvention(settings.var_convention))
    return max(tail_rank(n_observations, confidence), ceil(position) + 1, 1)


def volatility(run: Computation, name: MeasureName) -> MeasureColumn:
    return _of_history(run, run.deviation * run.horizon_scale, 2)


def parametric_value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    return _of_history(run, _z(run, name) * run.deviation * run.horizon_scale, 2)


def value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    rank = _by_window(run, np.int64, lambda n: _position(run, name, n)[0])
    weight = _by_window(run, np.float64, lambda n: _position(run, name, n)[1])
    losses = np.empty(len(run.block))
    tail.value_at_risk(run.tail, rank, weight, losses)
    gains = (losses < 0, Outcome.NEGATIVE_VAR)
    required = min_observations(confidence_of(name, run.settings))
    return _of_history(run, losses * run.horizon_scale, required, gains)


def expected_shortfall(run: Computation, name: MeasureName) -> MeasureColumn:
    confidence = confidence_of(name, run.settings)
    rank = _by_window(run, np.int64, lambda n: tail_rank(n, confidence))
    n_tail = _by_window(run, np.float64, lambda n: _tail_length(n, confidence))
    losses = np.empty(len(run.block))
    tail.expected_shortfall(run.tail, rank, n_tail, losses)
    return _of_history(run, losses * run.horizon_scale, min_observations(confidence))


def semi_deviation(run: Computation, name: MeasureName) -> MeasureColumn:
    spread = np.empty(len(run.block))
    kernels.semi_deviation(run.pnl, spread)
    return _of_history(run, spread * run.horizon_scale, 2)


def semi_deviation_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts: how each position's own departure weighs in the outcomes below the mean."""
    pnl, legs = _seen(run)
    below = np.minimum(pnl - pnl.mean(), 0.0)
    spread = float(np.sqrt((below * below).sum() / (len(pnl) - 1)))
    if spread == 0.0:
        return np.zeros(len(run.value))
    departures = legs - legs.mean(axis=1, keepdims=True)
    parts: FloatArray = (departures * below).sum(axis=1) / (len(pnl) - 1) / spread
    return parts * run.horizon_scale


def deviation_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts of the volatility of the one portfolio in `run`: V_i cov(r_i, p) / sd."""
    pnl, legs = _seen(run)
    centred = pnl - pnl.mean()
    spread = float(run.deviation[0])
    if spread == 0.0:
        return np.zeros(len(run.value))
    parts: FloatArray = (legs * centred).sum(axis=1) / (len(pnl) - 1) / spread * run.horizon_scale
    return parts


def parametric_parts(run: Computation, name: MeasureName) -> FloatArray:
    return _z(run, name) * deviation_parts(run, name)


def value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's loss in the scenario, or between the two, that the VaR is read from."""
    pnl, legs = _seen(run)
    order = np.argsort(pnl, kind="stable")
    rank, weight = _position(run, name, len(pnl))
    losses = -legs[:, order[rank]]
    if weight:
        losses += weight * (-legs[:, order[rank + 1]] - losses)
    return losses * run.horizon_scale


def expected_shortfall_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's mean loss over the tail scenarios, the last weighted in part."""
    pnl, legs = _seen(run)
    confidence = confidence_of(name, run.settings)
    k = tail_rank(len(pnl), confidence)
    n_tail = _tail_length(len(pnl), confidence)
    weight = np.ones(k)
    weight[-1] = n_tail - (k - 1)
    losses = -legs[:, np.argsort(pnl, kind="stable")[:k]]
    parts: FloatArray = (losses * weight).sum(axis=1) / n_tail * run.horizon_scale
    return parts


def _of_history(
    run: Computation,
    values: FloatArray,
    n_required: int,
    *marks: tuple[BoolArray, Outcome],
) -> MeasureColumn:
    if run.all_observed and run.market.n_observations >= n_required:
        return MeasureColumn.of(values, *marks)
    return MeasureColumn.of(
        values,
        (run.overflows, Outcome.NOT_FINITE),
        (run.n_observations < n_required, Outcome.WINDOW_TOO_SHORT),
        *marks,
    )


def _position(run: Computation, name: MeasureName, n_observations: int) -> tuple[int, float]:
    """Return the rank that the VaR is read from, and how far towards the next it lies."""
    convention = VarConvention(run.settings.var_convention)
    return _split_position(n_observations, confidence_of(name, run.settings), convention)


@lru_cache(maxsize=1024)
def _split_position(
    n_observations: int, confidence: str, convention: VarConvention
) -> tuple[int, float]:
    position = var_position(n_observations, confidence, convention)
    return floor(position), float(position % 1)


@lru_cache(maxsize=1024)
def _tail_length(n_observations: int, confidence: str) -> float:
    """Return n alpha, which need not be a whole number."""
    return float(n_observations * tail_probability(confidence))


def _by_window(
    run: Computation, kind: type[Number], of: Callable[[int], float]
) -> npt.NDArray[Number]:
    """Evaluate `of` once for each length of window in the block, 1 standing for none at all."""
    if run.has_full_windows:
        return np.full(len(run.block), of(max(1, run.market.n_observations)), dtype=kind)
    lengths, place = np.unique(run.n_observations, return_inverse=True)
    return np.array([of(max(1, int(n))) for n in lengths], dtype=kind)[place]


def _seen(run: Computation) -> tuple[FloatArray, FloatArray]:
    """Return the observed P&L (T,) of the one portfolio in `run` and of its positions (N, T)."""
    held = run.value != 0.0
    returns = np.where(held[:, None], run.panel[run.block.instrument], 0.0)
    seen = ~np.isnan(run.pnl[0])
    return run.pnl[0][seen], run.value[:, None] * returns[:, seen]


def _z(run: Computation, name: MeasureName) -> float:
    return NormalDist().inv_cdf(float(confidence_of(name, run.settings)))


FUNCTIONS = {
    "volatility": Functions(volatility, deviation_parts),
    "value_at_risk": Functions(value_at_risk, value_at_risk_parts, tail_depth),
    "expected_shortfall": Functions(expected_shortfall, expected_shortfall_parts, tail_depth),
    "parametric_value_at_risk": Functions(parametric_value_at_risk, parametric_parts),
    "semi_deviation": Functions(semi_deviation, semi_deviation_parts),
}
