"""Plain JSON documents of the model, for the JSON door, for files and for the store.

A document has the field names of the model's classes. Unknown keys are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from risk_tasks.errors import (
    InvalidLimitError,
    InvalidPortfolioError,
    InvalidSettingsError,
    RequestError,
)
from risk_tasks.model.backtest import BacktestReport
from risk_tasks.model.limits import Limit, LimitSet, limit_document
from risk_tasks.model.market import Scenario
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport

Document = dict[str, Any]
Model = TypeVar("Model")


class _PortfolioDocument(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    positions: dict[str, float]
    cash: float | None = None
    nav: float | None = None
    tags: dict[str, str] = {}


class _LimitDocument(msgspec.Struct, forbid_unknown_fields=True):
    measure: str
    warn: float | None = None
    hard: float | None = None
    applies_to: dict[str, str | list[str]] = {}
    missing_data: str = "reject"
    comparison: str = "above"
    id: str = ""


class _LimitSetDocument(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    limits: list[_LimitDocument]


class _SettingsDocument(msgspec.Struct, forbid_unknown_fields=True):
    confidence: str | float = "0.99"
    horizon_days: int = 1
    var_convention: str = "conservative"
    precision: str = "float64"
    degrees_of_freedom: float = 5.0
    decay: float = 0.94
    age_decay: float = 0.98
    horizon_rule: str = "sqrt_time"


class _ScenarioDocument(msgspec.Struct, forbid_unknown_fields=True):
    shocks: dict[str, float] = {}
    others: float | None = None


def read_portfolio(document: object) -> Portfolio:
    """Return the portfolio in `document`; raises `InvalidPortfolioError` naming the field."""
    read = _convert(document, _PortfolioDocument, InvalidPortfolioError, "portfolio")
    return Portfolio(read.id, read.positions, cash=read.cash, nav=read.nav, tags=read.tags)


def portfolio_document(portfolio: Portfolio) -> Document:
    return {
        "id": portfolio.id,
        "positions": dict(portfolio.positions),
        "cash": portfolio.cash,
        "nav": portfolio.nav,
        "tags": dict(portfolio.tags),
    }


def read_limit_set(document: object) -> LimitSet:
    """Return the limit set in `document`; raises `InvalidLimitError` naming the field."""
    read = _convert(document, _LimitSetDocument, InvalidLimitError, "limits")
    limits = []
    for place, row in enumerate(read.limits):
        fields = msgspec.structs.asdict(row)
        try:
            limits.append(Limit(fields.pop("measure"), **fields))
        except InvalidLimitError as error:
            error.field = f"limits[{place}].{error.field}"
            raise
    return LimitSet(read.id, limits)


def limit_set_document(limit_set: LimitSet) -> Document:
    return {"id": limit_set.id, "limits": [limit_document(limit) for limit in limit_set.limits]}


def read_settings(document: object) -> MeasureSettings:
    """Return the settings in `document`; raises `InvalidSettingsError` naming the field."""
    read = _convert(document, _SettingsDocument, InvalidSettingsError, "settings")
    return MeasureSettings(**msgspec.structs.asdict(read))


def settings_document(settings: MeasureSettings) -> Document:
    return {
        "confidence": str(settings.confidence),
        "horizon_days": settings.horizon_days,
        "var_convention": str(settings.var_convention),
        "precision": str(settings.precision),
        "degrees_of_freedom": settings.degrees_of_freedom,
        "decay": settings.decay,
        "age_decay": settings.age_decay,
        "horizon_rule": str(settings.horizon_rule),
    }


def read_scenarios(document: object) -> dict[str, Scenario]:
    read = msgspec.convert(document, dict[str, _ScenarioDocument])
    return {name: Scenario(row.shocks, others=row.others) for name, row in read.items()}


def scenarios_document(scenarios: Mapping[str, Scenario]) -> Document:
    return {
        name: {"shocks": dict(scenario.shocks), "others": scenario.others}
        for name, scenario in scenarios.items()
    }


def report_document(report: RiskReport | BacktestReport) -> Document:
    """Return `report` as JSON values; an error's code, field and remedy stand at the top."""
    document: Document = msgspec.to_builtins(report, enc_hook=_encode)
    error = document.pop("error")
    return {**document, **(error or {})}


def _encode(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Cannot encode {type(value)}.")


def _convert(document: object, kind: type[Model], error: type[RequestError], place: str) -> Model:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as failure:
        message, _, path = str(failure).partition(" - at `$")
        field = place + path.rstrip("`")
        raise error(f"{message}.", field=field) from None
