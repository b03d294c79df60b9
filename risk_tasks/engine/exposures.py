"""Measures of the current positions, without history.

A measure returns a column (P,); its parts are (N,) for a block of one book. Units and signs are
those of the registry.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.engine.computation import Computation, FloatArray, Functions
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName


def market_value(run: Computation, name: MeasureName) -> MeasureColumn:
    return MeasureColumn.of(run.exposures[:, 0])


def gross_exposure(run: Computation, name: MeasureName) -> MeasureColumn:
    return MeasureColumn.of(run.gross)


def net_exposure(run: Computation, name: MeasureName) -> MeasureColumn:
    return MeasureColumn.of(run.exposures[:, 0])


def long_exposure(run: Computation, name: MeasureName) -> MeasureColumn:
    return MeasureColumn.of(run.exposures[:, 1])


def short_exposure(run: Computation, name: MeasureName) -> MeasureColumn:
    return MeasureColumn.of(run.exposures[:, 2])


def gross_leverage(run: Computation, name: MeasureName) -> MeasureColumn:
    if run.all_exposed and run.all_with_nav:
        return MeasureColumn.of(run.gross / run.nav)
    return MeasureColumn.of(
        run.gross / run.nav,
        (~np.isfinite(run.gross) | np.isinf(run.nav), Outcome.NOT_FINITE),
        (np.isnan(run.nav), Outcome.NAV_UNKNOWN),
        (run.nav <= 0, Outcome.NAV_NOT_POSITIVE),
        (run.gross == 0, Outcome.ZERO_GROSS),
    )


def concentration(run: Computation, name: MeasureName) -> MeasureColumn:
    return _share(run, run.shares[:, 0])


def herfindahl(run: Computation, name: MeasureName) -> MeasureColumn:
    return _share(run, run.shares[:, 1])


def _share(run: Computation, values: FloatArray) -> MeasureColumn:
    if run.all_exposed:
        return MeasureColumn.of(values)
    return MeasureColumn.of(
        values,
        (~np.isfinite(run.gross), Outcome.NOT_FINITE),
        (run.gross == 0, Outcome.ZERO_GROSS),
    )


def signed_parts(run: Computation, name: MeasureName) -> FloatArray:
    return run.value


def gross_parts(run: Computation, name: MeasureName) -> FloatArray:
    return np.abs(run.value)


def long_parts(run: Computation, name: MeasureName) -> FloatArray:
    return np.maximum(run.value, 0.0)


def short_parts(run: Computation, name: MeasureName) -> FloatArray:
    return np.maximum(-run.value, 0.0)


def leverage_parts(run: Computation, name: MeasureName) -> FloatArray:
    parts: FloatArray = np.abs(run.value) / run.nav[0]
    return parts


def share_parts(run: Computation, name: MeasureName) -> FloatArray:
    parts: FloatArray = np.abs(run.value) / run.gross[0]
    return parts


def squared_share_parts(run: Computation, name: MeasureName) -> FloatArray:
    return share_parts(run, name) ** 2


FUNCTIONS = {
    "market_value": Functions(market_value, signed_parts),
    "gross_exposure": Functions(gross_exposure, gross_parts),
    "net_exposure": Functions(net_exposure, signed_parts),
    "long_exposure": Functions(long_exposure, long_parts),
    "short_exposure": Functions(short_exposure, short_parts),
    "gross_leverage": Functions(gross_leverage, leverage_parts),
    "concentration": Functions(concentration, share_parts),
    "herfindahl": Functions(herfindahl, squared_share_parts),
}
