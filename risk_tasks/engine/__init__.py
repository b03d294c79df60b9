"""Columns and a market in, measures out. No Redis, no Celery, no clock."""

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.compute import compute, contributions, outcomes_behind
from risk_tasks.engine.headroom import BOUNDED, largest_trades
from risk_tasks.engine.market import MarketArrays

__all__ = [
    "BOUNDED",
    "MarketArrays",
    "PortfolioBlock",
    "compute",
    "contributions",
    "largest_trades",
    "outcomes_behind",
]
