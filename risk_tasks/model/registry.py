"""The registry of measures, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from risk_tasks.model.catalogue import exposures, past, paths, positions, stress
from risk_tasks.model.definition import (
    LOOK_UP_US,
    REGISTRY_PATHS,
    MeasureDefinition,
    Qualifier,
    Unit,
)

__all__ = [
    "LOOK_UP_US",
    "MEASURES",
    "REGISTRY_PATHS",
    "STANDARD_MEASURES",
    "MeasureDefinition",
    "Qualifier",
    "Unit",
]

MEASURES: Mapping[str, MeasureDefinition] = MappingProxyType(
    {
        definition.name: definition
        for definitions in (exposures, past, paths, positions, stress)
        for definition in definitions.DEFINITIONS
    }
)

#: what `measures=None` means; fixed for ever, whatever else is added
STANDARD_MEASURES = (
    "market_value",
    "gross_exposure",
    "net_exposure",
    "long_exposure",
    "short_exposure",
    "gross_leverage",
    "concentration",
    "herfindahl",
    "volatility",
    "value_at_risk",
    "expected_shortfall",
    "parametric_value_at_risk",
)
