"""Measures of named scenarios: a column (P,), parts (N,), losses positive."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from risk_tasks.engine.computation import (
    BoolArray,
    Computation,
    FloatArray,
    Functions,
    IntArray,
)
from risk_tasks.engine.market import ShockArrays
from risk_tasks.kernels import positions as kernels
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName


class _Losses(NamedTuple):
    """The result of a scenario for each portfolio, all (P,).

    `loss` is NaN if a position has no change; `n_named` counts the positions that are named,
    `undefined` marks portfolios without a number, `partly` those that use the fallback of a replay.
    """

    loss: FloatArray
    n_named: IntArray
    undefined: BoolArray
    partly: BoolArray


def stress_loss(run: Computation, name: MeasureName) -> MeasureColumn:
    scenario = run.market.scenarios.get(name.item or "")
    return _unknown(run) if scenario is None else _column(run, _losses(run, scenario))


def worst_stress_loss(run: Computation, name: MeasureName) -> MeasureColumn:
    """Undefined if one scenario is: it might be the worst."""
    if not run.market.scenarios:
        return _unknown(run)
    found = [_losses(run, scenario) for scenario in run.market.scenarios.values()]
    loss, n_named, undefined, partly = zip(*found, strict=True)
    worst = _Losses(
        np.max(loss, axis=0),
        np.sum(n_named, axis=0),
        np.logical_or.reduce(undefined),
        np.logical_or.reduce(partly),
    )
    return _column(run, worst)


def stress_coverage(run: Computation, name: MeasureName) -> MeasureColumn:
    scenario = run.market.scenarios.get(name.item or "")
    if scenario is None:
        return _unknown(run)
    share, _ = _coverage(run, scenario)
    return MeasureColumn.of(
        share,
        (~np.isfinite(run.gross), Outcome.NOT_FINITE),
        (run.gross == 0, Outcome.NO_EXPOSURE),
    )


def _unknown(run: Computation) -> MeasureColumn:
    return MeasureColumn.missing(len(run.block), Outcome.UNKNOWN_SCENARIO)


def _losses(run: Computation, scenario: ShockArrays) -> _Losses:
    n = len(run.block)
    loss, n_named = np.empty(n), np.empty(n, dtype=np.int64)
    kernels.stress_loss(
        run.block.offsets,
        run.block.instrument,
        _size(run, scenario),
        scenario.change,
        scenario.named,
        loss,
        n_named,
    )
    undefined, partly = np.isnan(loss), np.zeros(n, dtype=bool)
    if scenario.min_coverage < 1:
        share, n_uncovered = _coverage(run, scenario)
        partly = n_uncovered > 0
        undefined |= share < scenario.min_coverage
    return _Losses(loss, n_named, undefined, partly)


def _size(run: Computation, scenario: ShockArrays) -> FloatArray:
    """Return what the changes multiply (N,): values, or quantities if they are absolute."""
    if scenario.absolute is None:
        return run.value
    return np.where(scenario.absolute[run.block.instrument], run.block.quantity, run.value)


def _coverage(run: Computation, scenario: ShockArrays) -> tuple[FloatArray, IntArray]:
    """Return the covered share of gross exposure, and the number of positions not covered, (P,)."""
    share, n_uncovered = np.empty(len(run.block)), np.empty(len(run.block), dtype=np.int64)
    kernels.coverage(
        run.block.offsets,
        run.block.instrument,
        run.value,
        scenario.covered,
        share,
        n_uncovered,
    )
    return share, n_uncovered


def _column(run: Computation, found: _Losses) -> MeasureColumn:
    return MeasureColumn.of(
        found.loss,
        (~np.isfinite(run.gross), Outcome.NOT_FINITE),
        (found.undefined, Outcome.NOT_IN_SCENARIO),
        (found.partly, Outcome.PARTLY_COVERED),
        (found.n_named == 0, Outcome.NO_EXPOSURE),
    )


def stress_parts(run: Computation, name: MeasureName) -> FloatArray:
    return losses(run, run.market.scenarios[name.item or ""])


def worst_stress_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's loss in the worst scenario, the first one if several are equal."""
    parts = [losses(run, scenario) for scenario in run.market.scenarios.values()]
    return max(parts, key=np.sum)


def losses(run: Computation, scenario: ShockArrays) -> FloatArray:
    """Return the loss of each position (N,); NaN if the scenario has no change for it."""
    size, change = _size(run, scenario), scenario.change[run.block.instrument]
    parts: FloatArray = -size * np.where(size == 0.0, 0.0, change)
    return parts


def coverage_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each covered position's share of gross exposure."""
    covered = run.market.scenarios[name.item or ""].covered[run.block.instrument]
    size = np.abs(run.value)
    parts: FloatArray = np.where(covered, size, 0.0) / size.sum()
    return parts


FUNCTIONS = {
    "stress_loss": Functions(stress_loss, stress_parts),
    "stress_coverage": Functions(stress_coverage, coverage_parts),
    "worst_stress_loss": Functions(worst_stress_loss, worst_stress_parts),
}
