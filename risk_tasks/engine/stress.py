"""Measures of named scenarios: a column (P,), parts (N,), base currency, losses positive."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.computation import Computation, FloatArray, Functions
from risk_tasks.engine.market import ShockArrays
from risk_tasks.kernels import stress as kernels
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName


def stress_loss(run: Computation, name: MeasureName) -> MeasureColumn:
    scenario = run.market.scenarios.get(name.item or "")
    if scenario is None:
        return _unknown(run)
    losses, n_named = _losses(run, scenario)
    return _column(run, losses, n_named)


def worst_stress_loss(run: Computation, name: MeasureName) -> MeasureColumn:
    """What one scenario refuses to tell might be the worst: then there is no number."""
    if not run.market.scenarios:
        return _unknown(run)
    found = [_losses(run, scenario) for scenario in run.market.scenarios.values()]
    losses, n_named = zip(*found, strict=True)
    return _column(run, np.max(losses, axis=0), np.sum(n_named, axis=0))


def _unknown(run: Computation) -> MeasureColumn:
    n = len(run.block)
    return MeasureColumn.of(np.zeros(n), (np.ones(n, dtype=bool), Outcome.UNKNOWN_SCENARIO))


def _losses(run: Computation, scenario: ShockArrays) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return losses (P,), NaN where untold, and how many positions (P,) the scenario names."""
    losses = np.empty(len(run.block))
    n_named = np.empty(len(run.block), dtype=np.int64)
    kernels.stress_loss(
        run.block.offsets,
        run.block.instrument,
        run.value,
        scenario.shock,
        scenario.named,
        losses,
        n_named,
    )
    return losses, n_named


def _column(run: Computation, losses: FloatArray, n_named: npt.NDArray[np.int64]) -> MeasureColumn:
    return MeasureColumn.of(
        losses,
        (~np.isfinite(run.gross), Outcome.NOT_FINITE),
        (np.isnan(losses), Outcome.NOT_IN_SCENARIO),
        (n_named == 0, Outcome.NO_EXPOSURE),
    )


def stress_parts(run: Computation, name: MeasureName) -> FloatArray:
    return _parts(run, run.market.scenarios[name.item or ""])


def worst_stress_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's loss in the worst scenario, the first of several that are as bad."""
    parts = [_parts(run, scenario) for scenario in run.market.scenarios.values()]
    return max(parts, key=np.sum)


def _parts(run: Computation, scenario: ShockArrays) -> FloatArray:
    shock = scenario.shock[run.block.instrument]
    parts: FloatArray = -run.value * np.where(run.value == 0.0, 0.0, shock)
    return parts


FUNCTIONS = {
    "stress_loss": Functions(stress_loss, stress_parts),
    "worst_stress_loss": Functions(worst_stress_loss, worst_stress_parts),
}
