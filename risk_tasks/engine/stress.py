"""Measures of named scenarios: a column (P,), parts (N,), base currency, losses positive."""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import Computation, FloatArray, Functions
from risk_tasks.kernels import stress as kernels
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName


def stress_loss(run: Computation, name: MeasureName) -> MeasureColumn:
    scenario = run.market.scenarios.get(name.scenario or "")
    n = len(run.block)
    if scenario is None:
        return MeasureColumn.of(np.zeros(n), (np.ones(n, dtype=bool), Outcome.UNKNOWN_SCENARIO))
    losses = np.empty(n)
    n_named = np.empty(n, dtype=np.int64)
    kernels.stress_loss(
        run.block.offsets,
        run.block.instrument,
        run.value,
        scenario.shock,
        scenario.named,
        losses,
        n_named,
    )
    return MeasureColumn.of(
        losses,
        (~np.isfinite(run.gross), Outcome.NOT_FINITE),
        (np.isnan(losses), Outcome.NOT_IN_SCENARIO),
        (n_named == 0, Outcome.NO_EXPOSURE),
    )


def stress_parts(run: Computation, name: MeasureName) -> FloatArray:
    shock = run.market.scenarios[name.scenario or ""].shock[run.block.instrument]
    return -run.value * np.where(run.value == 0.0, 0.0, shock)


FUNCTIONS = {"stress_loss": Functions(stress_loss, stress_parts)}
