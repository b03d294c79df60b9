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


class _Told(NamedTuple):
    """What a scenario says of each portfolio, all (P,).

    `loss` is NaN where a held instrument has no change; `n_named` counts the held instruments that
    are named, `untold` marks what has no number, `partly` what leans on the fallback of a replay.
    """

    loss: FloatArray
    n_named: IntArray
    untold: BoolArray
    partly: BoolArray


def stress_loss(run: Computation, name: MeasureName) -> MeasureColumn:
    scenario = run.market.scenarios.get(name.item or "")
    return _unknown(run) if scenario is None else _column(run, _tell(run, scenario))


def worst_stress_loss(run: Computation, name: MeasureName) -> MeasureColumn:
    """What one scenario refuses to tell might be the worst: then there is no number."""
    if not run.market.scenarios:
        return _unknown(run)
    told = [_tell(run, scenario) for scenario in run.market.scenarios.values()]
    loss, n_named, untold, partly = zip(*told, strict=True)
    worst = _Told(
        np.max(loss, axis=0),
        np.sum(n_named, axis=0),
        np.logical_or.reduce(untold),
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
    n = len(run.block)
    return MeasureColumn.of(np.zeros(n), (np.ones(n, dtype=bool), Outcome.UNKNOWN_SCENARIO))


def _tell(run: Computation, scenario: ShockArrays) -> _Told:
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
    untold, partly = np.isnan(loss), np.zeros(n, dtype=bool)
    if scenario.min_coverage < 1:
        share, n_uncovered = _coverage(run, scenario)
        partly = n_uncovered > 0
        untold |= share < scenario.min_coverage
    return _Told(loss, n_named, untold, partly)


def _size(run: Computation, scenario: ShockArrays) -> FloatArray:
    """What the changes are of, (N,): values, and quantities where they are absolute."""
    if scenario.absolute is None:
        return run.value
    return np.where(scenario.absolute[run.block.instrument], run.block.quantity, run.value)


def _coverage(run: Computation, scenario: ShockArrays) -> tuple[FloatArray, IntArray]:
    """Return the covered share of gross exposure and how many holdings are not covered, (P,)."""
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


def _column(run: Computation, told: _Told) -> MeasureColumn:
    return MeasureColumn.of(
        told.loss,
        (~np.isfinite(run.gross), Outcome.NOT_FINITE),
        (told.untold, Outcome.NOT_IN_SCENARIO),
        (told.partly, Outcome.PARTLY_COVERED),
        (told.n_named == 0, Outcome.NO_EXPOSURE),
    )


def stress_parts(run: Computation, name: MeasureName) -> FloatArray:
    return losses(run, run.market.scenarios[name.item or ""])


def worst_stress_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's loss in the worst scenario, the first of several that are as bad."""
    parts = [losses(run, scenario) for scenario in run.market.scenarios.values()]
    return max(parts, key=np.sum)


def losses(run: Computation, scenario: ShockArrays) -> FloatArray:
    """Return what each position loses (N,); NaN where it is held and the scenario untold."""
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
