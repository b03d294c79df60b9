"""Plain JSON documents of the model, for the JSON door, for files and for the store.

A document has the field names of the model's classes. Unknown keys are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

import msgspec

from risk_tasks.errors import (
    InvalidLimitError,
    InvalidMarketError,
    InvalidPortfolioError,
    InvalidSettingsError,
    RequestError,
)
from risk_tasks.model.backtest import BacktestReport
from risk_tasks.model.explanation import Explanation
from risk_tasks.model.limits import Limit, LimitSet, limit_document
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Breach, Decision, ReportStatus, RiskReport
from risk_tasks.model.scenario import Replay, Scenario, Stress
from risk_tasks.wire.framing import decoding

Document = dict[str, Any]
Model = TypeVar("Model")


class PortfolioDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A portfolio: signed quantities by instrument; what is null is unknown, not zero."""

    id: str
    positions: dict[str, float]
    cash: float | None = None
    nav: float | None = None
    tags: dict[str, str] = {}


class LimitDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Thresholds on one measure, in its unit, for the portfolios that the tags select."""

    measure: str
    warn: float | None = None
    hard: float | None = None
    applies_to: dict[str, str | list[str]] = {}
    missing_data: str = "reject"
    comparison: str = "above"
    id: str = ""


class LimitSetDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Limits under one id."""

    id: str
    limits: list[LimitDocument]


class SettingsDocument(msgspec.Struct, forbid_unknown_fields=True):
    """What the names of measures leave open."""

    confidence: str | float = "0.99"
    horizon_days: int = 1
    var_convention: str = "conservative"
    precision: str = "float64"
    degrees_of_freedom: float = 5.0
    decay: float = 0.94
    age_decay: float = 0.98
    horizon_rule: str = "sqrt_time"
    n_paths: int = 10_000
    seed: int = 0
    distribution: str = "normal"


class ScenarioDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Shocks in parts, or absolute moves in currency; `others` is for what is not named."""

    shocks: dict[str, float] = {}
    moves: dict[str, float] = {}
    by_tag: dict[str, dict[str, float]] = {}
    others: float | None = None


class ReplayDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The returns of a dated window of the market's own past."""

    replay: tuple[date, date]
    min_coverage: float = 1.0
    others: float | None = None


def read_portfolio(document: object) -> Portfolio:
    """Return the portfolio in `document`; raises `InvalidPortfolioError` naming the field."""
    read = _convert(document, PortfolioDocument, InvalidPortfolioError, "portfolio")
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
    read = _convert(document, LimitSetDocument, InvalidLimitError, "limits")
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
    read = _convert(document, SettingsDocument, InvalidSettingsError, "settings")
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
        "n_paths": settings.n_paths,
        "seed": settings.seed,
        "distribution": str(settings.distribution),
    }


def read_scenarios(document: object) -> dict[str, Stress]:
    """Return the scenarios in `document` by name; raises `InvalidMarketError` naming the field."""
    rows = _convert(document, dict[str, dict[str, Any]], InvalidMarketError, "scenarios")
    return {name: _read_scenario(row, f"scenarios[{name!r}]") for name, row in rows.items()}


def _read_scenario(row: Document, place: str) -> Stress:
    try:
        if "replay" in row:
            window = _convert(row, ReplayDocument, InvalidMarketError, "")
            return Replay(*window.replay, min_coverage=window.min_coverage, others=window.others)
        read = _convert(row, ScenarioDocument, InvalidMarketError, "")
        return Scenario(read.shocks, moves=read.moves, by_tag=read.by_tag, others=read.others)
    except InvalidMarketError as error:
        error.field = f"{place}.{(error.field or '').lstrip('.')}".rstrip(".")
        raise


def scenarios_document(scenarios: Mapping[str, Stress]) -> Document:
    return {name: _scenario_document(scenario) for name, scenario in scenarios.items()}


def _scenario_document(scenario: Stress) -> Document:
    if isinstance(scenario, Replay):
        return {
            "replay": [scenario.start.isoformat(), scenario.end.isoformat()],
            "min_coverage": scenario.min_coverage,
            "others": scenario.others,
        }
    document: Document = {"shocks": dict(scenario.shocks), "others": scenario.others}
    if scenario.moves:
        document["moves"] = dict(scenario.moves)
    if scenario.by_tag:
        document["by_tag"] = {tag: dict(values) for tag, values in scenario.by_tag.items()}
    return document


def report_document(report: RiskReport | BacktestReport) -> Document:
    """Return `report` as JSON values; an error's code, field and remedy stand at the top.

    An explanation stands there where there is one.
    """
    document: Document = msgspec.to_builtins(report, enc_hook=_encode)
    if document.get("explanation") is None:
        document.pop("explanation", None)
    error = document.pop("error")
    return {**document, **(error or {})}


_ERROR_FIELDS = ("code", "message", "field", "remedy")


def read_report(document: object) -> RiskReport:
    """Return the report that `report_document` wrote; raises `DecodeError` for what is none."""
    with decoding("report"):
        fields = msgspec.convert(document, Document)
        error = {name: fields.get(name) for name in _ERROR_FIELDS} if "code" in fields else None
        read = msgspec.convert({**fields, "error": error}, RiskReport)
        return replace(
            read,
            status=ReportStatus(read.status),
            decision=Decision(read.decision),
            breaches=tuple(map(_breach, read.breaches)),
            not_evaluated=tuple(read.not_evaluated),
            explanation=read.explanation and _explanation(read.explanation),
        )


def _breach(read: Breach) -> Breach:
    """Return it with tuples for the lists that JSON has."""
    return replace(read, contributors=tuple(read.contributors), scenarios=tuple(read.scenarios))


def _explanation(read: Explanation) -> Explanation:
    return Explanation(
        limits=tuple(read.limits),
        headroom=tuple(read.headroom),
        not_bounded=tuple(read.not_bounded),
    )


def _encode(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Cannot encode {type(value)}.")


def _convert(
    document: object,
    kind: type[Model],
    error: type[RequestError | InvalidMarketError],
    place: str,
) -> Model:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as failure:
        message, _, path = str(failure).partition(" - at `$")
        field = place + path.rstrip("`")
        raise error(f"{message}.", field=field) from None
