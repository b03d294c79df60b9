"""Which function computes which measure, and the two questions that are asked of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from risk_tasks.engine import exposures, history, stress
from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.computation import Computation, FloatArray
from risk_tasks.engine.market import MarketArrays
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.measures import MeasureName, MeasureSettings


class Functions(NamedTuple):
    """How one measure is computed: `column` (P,) over a block, `parts` by position of one book.

    `depth` says how many of the worst outcomes it reads; None for a measure that reads no tail.
    """

    column: Callable[[Computation, MeasureName], MeasureColumn]
    parts: Callable[[Computation, MeasureName], FloatArray]
    depth: Callable[[int, MeasureName, MeasureSettings], int] | None = None


FUNCTIONS: Mapping[str, Functions] = MappingProxyType(
    {
        "market_value": Functions(exposures.market_value, exposures.signed_parts),
        "gross_exposure": Functions(exposures.gross_exposure, exposures.gross_parts),
        "net_exposure": Functions(exposures.net_exposure, exposures.signed_parts),
        "long_exposure": Functions(exposures.long_exposure, exposures.long_parts),
        "short_exposure": Functions(exposures.short_exposure, exposures.short_parts),
        "gross_leverage": Functions(exposures.gross_leverage, exposures.leverage_parts),
        "concentration": Functions(exposures.concentration, exposures.share_parts),
        "herfindahl": Functions(exposures.herfindahl, exposures.squared_share_parts),
        "volatility": Functions(history.volatility, history.deviation_parts),
        "value_at_risk": Functions(
            history.value_at_risk, history.value_at_risk_parts, history.tail_depth
        ),
        "expected_shortfall": Functions(
            history.expected_shortfall, history.expected_shortfall_parts, history.tail_depth
        ),
        "parametric_value_at_risk": Functions(
            history.parametric_value_at_risk, history.parametric_parts
        ),
        "stress_loss": Functions(stress.stress_loss, stress.stress_parts),
    }
)


def compute(
    block: PortfolioBlock,
    market: MarketArrays,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> dict[MeasureName, MeasureColumn]:
    """Return one column of shape (P,) for each of `names`, sharing what they share.

    Units and signs are those of the registry. A value is finite or has an outcome that says why
    there is none; nothing is raised for any finite input.
    """
    with np.errstate(all="ignore"):
        run = _computation(block, market, names, settings)
        return {name: FUNCTIONS[name.name].column(run, name) for name in names}


def contributions(
    block: PortfolioBlock,
    market: MarketArrays,
    name: MeasureName,
    settings: MeasureSettings,
    place: int,
) -> FloatArray:
    """Return what each position of the portfolio at `place` adds to `name`, in its unit.

    Shape: (positions of that portfolio,). The parts sum to the measure, except for the shares
    behind `concentration`, which sum to 1.
    """
    with np.errstate(all="ignore"):
        run = _computation(block.row(place), market, [name], settings)
        return FUNCTIONS[name.name].parts(run, name)


def _computation(
    block: PortfolioBlock,
    market: MarketArrays,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> Computation:
    depths = [
        depth(market.n_observations, name, settings)
        for name in names
        if (depth := FUNCTIONS[name.name].depth)
    ]
    return Computation(block, market, settings, max(depths, default=1))
