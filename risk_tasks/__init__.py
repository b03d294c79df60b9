"""Risk checks at any volume: portfolios in, measures, limits and breaches out.

Importing this starts nothing and reads no environment. Each public name loads its module on first
use, so that a role whose container has no Arrow can import the modules that it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from risk_tasks.client import AsyncRiskClient, RiskClient
    from risk_tasks.client.signature import signature
    from risk_tasks.embedding import embedded
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
        read_proxies,
        read_scenarios,
        read_tags,
    )

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
    "read_proxies",
    "read_scenarios",
    "read_tags",
    "signature",
]

_NAMES_OF_MODULE = {
    "risk_tasks.client": ("AsyncRiskClient", "RiskClient"),
    "risk_tasks.client.signature": ("signature",),
    "risk_tasks.embedding": ("embedded",),
    "risk_tasks.errors": (
        *("QueueFullError", "ReportTimeoutError", "RequestError"),
        *("RiskTasksError", "TransportError"),
    ),
    "risk_tasks.model.limits": ("Limit", "LimitSet"),
    "risk_tasks.model.market": ("MarketSnapshot",),
    "risk_tasks.model.measures": ("MeasureSettings",),
    "risk_tasks.model.portfolio": ("Portfolio",),
    "risk_tasks.model.report": ("Breach", "Measure", "RiskReport"),
    "risk_tasks.model.scenario": ("Replay", "Scenario"),
    "risk_tasks.readers": (
        *("read_limits", "read_market", "read_portfolios"),
        *("read_proxies", "read_scenarios", "read_tags"),
    ),
}
_MODULE_OF_NAME = {name: module for module, names in _NAMES_OF_MODULE.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load the module of a public name on first use."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from risk_tasks.errors import missing_extras_named

    with missing_extras_named():
        return getattr(import_module(_MODULE_OF_NAME[name]), name)


def __dir__() -> list[str]:
    return __all__
