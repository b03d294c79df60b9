"""Risk checks at any volume: portfolios in, measures, limits and breaches out.

Importing this starts nothing, reads no environment and leaves Numba alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from risk_tasks.client import AsyncRiskClient, RiskClient
from risk_tasks.client.signature import signature
from risk_tasks.errors import (
    QueueFullError,
    ReportTimeoutError,
    RequestError,
    RiskTasksError,
    TransportError,
)
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Breach, Measure, RiskReport
from risk_tasks.model.scenario import Replay, Scenario
from risk_tasks.readers import (
    read_limits,
    read_market,
    read_portfolios,
    read_scenarios,
    read_tags,
)

if TYPE_CHECKING:
    from risk_tasks.embedding import embedded

__all__ = [
    "AsyncRiskClient",
    "Breach",
    "Limit",
    "LimitSet",
    "MarketSnapshot",
    "Measure",
    "MeasureSettings",
    "Portfolio",
    "QueueFullError",
    "Replay",
    "ReportTimeoutError",
    "RequestError",
    "RiskClient",
    "RiskReport",
    "RiskTasksError",
    "Scenario",
    "TransportError",
    "embedded",
    "read_limits",
    "read_market",
    "read_portfolios",
    "read_scenarios",
    "read_tags",
    "signature",
]


def __getattr__(name: str) -> Any:
    """Resolve `embedded` on first use, since it needs an extra."""
    if name == "embedded":
        from importlib import import_module

        return import_module("risk_tasks.embedding").embedded
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
