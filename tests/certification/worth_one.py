"""A measure of a position worth 1, by the engine as a worker calls it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings


def market_of(returns: np.ndarray) -> MarketArrays:
    """Return a market with these returns (T, n), oldest first, and prices of 1."""
    n = returns.shape[1]
    names = [f"I{i}" for i in range(n)]
    return MarketArrays.of(
        MarketSnapshot(datetime(2024, 5, 1, tzinfo=UTC), names, np.ones(n), returns)
    )


def book_of(quantity: np.ndarray) -> PortfolioBlock:
    """Return one portfolio with these quantities."""
    n, unknown = len(quantity), np.full(1, np.nan)
    return PortfolioBlock(np.array([0, n]), np.arange(n), quantity, unknown, unknown)


def column(name: str, returns: np.ndarray, **settings: object) -> MeasureColumn:
    """The measure of one position worth 1 with these returns, oldest first."""
    measure = MeasureName.parse(name)
    market, book = market_of(returns[:, None]), book_of(np.ones(1))
    return compute(book, market, [measure], MeasureSettings(**settings))[measure]


def measured(name: str, returns: np.ndarray, **settings: object) -> float:
    """Return the value of the measure of one position worth 1."""
    return float(column(name, returns, **settings).values[0])
