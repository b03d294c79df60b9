"""A measure of a position worth 1, by the engine as a worker calls it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings


def column(name: str, returns: np.ndarray, **settings: object) -> MeasureColumn:
    """The measure of one position worth 1 with these returns, oldest first."""
    market = MarketArrays.of(
        MarketSnapshot(datetime(2024, 5, 1, tzinfo=UTC), ["A"], [1.0], returns[:, None])
    )
    one, unknown = np.array([0, 1]), np.full(1, np.nan)
    block = PortfolioBlock(one, one[:1], np.ones(1), unknown, unknown)
    asked = MeasureName.parse(name)
    return compute(block, market, [asked], MeasureSettings(**settings))[asked]


def measured(name: str, returns: np.ndarray, **settings: object) -> float:
    """Its value."""
    return float(column(name, returns, **settings).values[0])
