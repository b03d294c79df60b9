"""Columns and a market in, measures out. No Redis, no Celery, no clock."""

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.compute import compute, contributions
from risk_tasks.engine.market import MarketArrays

__all__ = ["MarketArrays", "PortfolioBlock", "compute", "contributions"]
