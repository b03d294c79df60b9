"""What the measures of the past share: windows and ranks, who was observed, what had too little."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, floor
from statistics import NormalDist
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.computation import BoolArray, Computation, FloatArray, IntArray
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


def var_rank(run: Computation, name: MeasureName, n_observations: int) -> tuple[int, float]:
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
def tail_length(n_observations: int, confidence: str) -> float:
    """Return n alpha, which need not be a whole number."""
    return float(n_observations * tail_probability(confidence))


@lru_cache(maxsize=256)
def normal_quantile(confidence: str) -> float:
    """Return z(c); by its tail where so near to 1 that a float cannot tell."""
    if float(confidence) < 1.0:
        return NormalDist().inv_cdf(float(confidence))
    return -NormalDist().inv_cdf(float(tail_probability(confidence)))


def spread_window(run: Computation) -> int:
    """Return how many outcomes a spread takes: two at least that share no day."""
    return run.settings.outcome_days + 1


def tail_window(run: Computation, confidence: str) -> int:
    """Return how many outcomes a tail takes: 1 / alpha, and 1 more where they share days.

    So many of h days each are h + 1 / alpha days.
    """
    return min_observations(confidence) + (1 if run.settings.outcome_days > 1 else 0)


def sharing_days(run: Computation) -> tuple[BoolArray, Outcome]:
    """Return the mark of a measure whose method supposes outcomes that share no day."""
    return (run.gross > 0.0) & (run.settings.outcome_days > 1), Outcome.OVERLAPPING


def by_window(
    n_observations: IntArray, kind: type[Number], of: Callable[[int], float]
) -> npt.NDArray[Number]:
    """Evaluate `of` once for each length of window (P,), 1 standing for none at all."""
    if len(n_observations) and (n_observations == n_observations[0]).all():
        return np.full(len(n_observations), of(max(1, int(n_observations[0]))), dtype=kind)
    lengths, place = np.unique(n_observations, return_inverse=True)
    return np.array([of(max(1, int(n))) for n in lengths], dtype=kind)[place]


def column_of(
    run: Computation,
    values: FloatArray,
    n_required: int,
    *marks: tuple[BoolArray, Outcome],
) -> MeasureColumn:
    """Return `values` (P,) with none where the P&L overflows or the window is too short."""
    if run.all_observed and run.n_outcomes >= n_required:
        return MeasureColumn.of(values, *marks)
    return MeasureColumn.of(
        values,
        (run.overflows, Outcome.NOT_FINITE),
        (run.n_observations < n_required, Outcome.WINDOW_TOO_SHORT),
        *marks,
    )


def observed(run: Computation) -> tuple[FloatArray, FloatArray]:
    """Return the observed P&L (T,) of the one portfolio in `run` and of its positions (N, T)."""
    held = run.value != 0.0
    returns = np.where(held[:, None], run.panel[run.block.instrument], 0.0)
    seen = ~np.isnan(run.pnl[0])
    return run.pnl[0][seen], run.value[:, None] * returns[:, seen]
