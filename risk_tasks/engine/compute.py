"""Which function computes which measure, and the two questions that are asked of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from risk_tasks.engine import exposures, history, stress
from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.computation import Computation, FloatArray
from risk_tasks.engine.market import MarketArrays
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.measures import MeasureName, MeasureSettings

Column = Callable[[Computation, MeasureName], MeasureColumn]
Parts = Callable[[Computation, MeasureName], FloatArray]

#: by the name of a measure: its column over a block, and its parts by position of one portfolio
FUNCTIONS: Mapping[str, tuple[Column, Parts]] = MappingProxyType(
    {
        "market_value": (exposures.market_value, exposures.signed_parts),
        "gross_exposure": (exposures.gross_exposure, exposures.gross_parts),
        "net_exposure": (exposures.net_exposure, exposures.signed_parts),
        "long_exposure": (exposures.long_exposure, exposures.long_parts),
        "short_exposure": (exposures.short_exposure, exposures.short_parts),
        "gross_leverage": (exposures.gross_leverage, exposures.leverage_parts),
        "concentration": (exposures.concentration, exposures.share_parts),
        "herfindahl": (exposures.herfindahl, exposures.squared_share_parts),
        "volatility": (history.volatility, history.deviation_parts),
        "value_at_risk": (history.value_at_risk, history.value_at_risk_parts),
        "expected_shortfall": (history.expected_shortfall, history.expected_shortfall_parts),
        "parametric_value_at_risk": (history.parametric_value_at_risk, history.parametric_parts),
        "stress_loss": (stress.stress_loss, stress.stress_parts),
    }
)

_TAIL_MEASURES = frozenset({"value_at_risk", "expected_shortfall"})


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
        return {name: FUNCTIONS[name.name][0](run, name) for name in names}


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
        return FUNCTIONS[name.name][1](run, name)


def _computation(
    block: PortfolioBlock,
    market: MarketArrays,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> Computation:
    n = market.n_observations
    depths = [
        history.tail_depth(n, name, settings) for name in names if name.name in _TAIL_MEASURES
    ]
    return Computation(block, market, settings, max(depths, default=1))
