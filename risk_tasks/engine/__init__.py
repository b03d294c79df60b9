"""Computes measures from arrays of portfolios and a market, without Redis, Celery or a clock."""

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.common_rows import dropped_rows
from risk_tasks.engine.compute import compute, contributions, outcomes_behind
from risk_tasks.engine.headroom import BOUNDED, largest_trades
from risk_tasks.engine.market import MarketArrays
from risk_tasks.engine.scaling import scaled_instruments
from risk_tasks.engine.window import short_windows

__all__ = [
    "BOUNDED",
    "MarketArrays",
    "PortfolioBlock",
    "compute",
    "contributions",
    "dropped_rows",
    "largest_trades",
    "outcomes_behind",
    "scaled_instruments",
    "short_windows",
]
