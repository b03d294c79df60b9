"""JSON documents of the model, for Celery messages, HTTP, files and the store.

A document has the field names of the model's class. Unknown keys are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from risk_tasks.model.limits import Limit, LimitSet, limit_document
from risk_tasks.model.live import LimitChange, LiveReport
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Decision, ReportStatus, RiskReport
from risk_tasks.model.scenario import Replay, Scenario, Stress
from risk_tasks.model.values import as_finite, is_name
from risk_tasks.wire.framing import decoding

#: portfolios that one critical event names at most
MAX_EVENT_PORTFOLIOS = 10_000
MAX_REASON_CHARS = 256

Document = dict[str, Any]
Model = TypeVar("Model")


class PortfolioDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A portfolio: signed quantities by instrument; null means unknown, not zero."""

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
    short_window: str = "warn"
    id: str = ""


class LimitSetDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Limits under one id; `unmatched` is the decision if no limit was compared."""

    id: str
    limits: list[LimitDocument]
    unmatched: str = "none"


class SettingsDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters of measures that their names do not give."""

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
    history: str = "common"


class ScenarioDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Relative shocks, or absolute moves in currency; `others` is the shock of all other names."""

    shocks: dict[str, float] = {}
    moves: dict[str, float] = {}
    by_tag: dict[str, dict[str, float]] = {}
    others: float | None = None


class ReplayDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A window of dates in the market's own history, whose returns are the shocks."""

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
    for index, row in enumerate(read.limits):
        fields = msgspec.structs.asdict(row)
        try:
            limits.append(Limit(fields.pop("measure"), **fields))
        except InvalidLimitError as error:
            error.field = f"limits[{index}].{error.field}"
            raise
    return LimitSet(read.id, limits, unmatched=read.unmatched)


def limit_set_document(limit_set: LimitSet) -> Document:
    return {
        "id": limit_set.id,
        "limits": [limit_document(limit) for limit in limit_set.limits],
        "unmatched": str(limit_set.unmatched),
    }


def read_settings(document: object) -> MeasureSettings:
    """Return the settings in `document`; raises `InvalidSettingsError` naming the field."""
    read = _convert(document, SettingsDocument, InvalidSettingsError, "settings")
    return MeasureSettings(**msgspec.structs.asdict(read))


def settings_document(settings: MeasureSettings) -> Document:
    document: Document = msgspec.to_builtins(settings, enc_hook=str)
    return document


def read_scenarios(document: object) -> dict[str, Stress]:
    """Return the scenarios in `document` by name; raises `InvalidMarketError` naming the field."""
    rows = _convert(document, dict[str, dict[str, Any]], InvalidMarketError, "scenarios")
    return {name: _read_scenario(row, f"scenarios[{name!r}]") for name, row in rows.items()}


def _read_scenario(row: Document, field: str) -> Stress:
    try:
        if "replay" in row:
            window = _convert(row, ReplayDocument, InvalidMarketError, "")
            return Replay(*window.replay, min_coverage=window.min_coverage, others=window.others)
        read = _convert(row, ScenarioDocument, InvalidMarketError, "")
        return Scenario(read.shocks, moves=read.moves, by_tag=read.by_tag, others=read.others)
    except InvalidMarketError as error:
        error.field = f"{field}.{(error.field or '').lstrip('.')}".rstrip(".")
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
    """Return `report` as JSON values.

    The fields of an error are at the top level. `explanation` is left out if there is none.
    """
    document: Document = msgspec.to_builtins(report, enc_hook=_encode)
    if document.get("explanation") is None:
        document.pop("explanation", None)
    error = document.pop("error")
    return {**document, **(error or {})}


_ERROR_FIELDS = ("code", "message", "field", "remedy")


def read_report(document: object) -> RiskReport:
    """Return the report that `report_document` wrote; raises `DecodeError` for anything else."""
    with decoding("report"):
        fields = msgspec.convert(document, Document)
        error = {name: fields.get(name) for name in _ERROR_FIELDS} if "code" in fields else None
        read = msgspec.convert({**fields, "error": error}, RiskReport)
        status, decision = ReportStatus(read.status), Decision(read.decision)
        return replace(read, status=status, decision=decision)


def change_document(change: LimitChange) -> Document:
    """Return `change` as JSON values."""
    document: Document = msgspec.to_builtins(change)
    return document


def live_report_document(live: LiveReport) -> Document:
    """Return the latest report of a live portfolio as JSON values."""
    return {
        "version": live.version,
        "current_version": live.current_version,
        "age_s": live.age_s,
        "reason": live.reason,
        "report": report_document(live.report),
    }


def require_arguments(request: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise `InvalidSettingsError` for an argument of a task that is not one of `names`."""
    for name in request:
        if name not in names:
            raise InvalidSettingsError(
                f"Unknown argument {name!r}: expected {', '.join(names)}.",
                field=name,
                remedy="Correct the name, or leave the argument out.",
            )


def read_portfolio_id(given: object) -> str:
    """Return the id; raises `InvalidPortfolioError` unless it is a non-empty text."""
    return _name(given, "portfolio_id", InvalidPortfolioError)


def read_event_id(given: object, task_id: str) -> str:
    """Return the id of an event, or `task_id` if it is None; raises `InvalidSettingsError`."""
    if given is None:
        return task_id
    remedy = "Give each change an id of its own, or leave event_id out."
    return _name(given, "event_id", InvalidSettingsError, remedy)


def read_deltas(given: object) -> dict[str, float]:
    """Return the change of each position; raises `InvalidPortfolioError` naming the field."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidPortfolioError(
            f"Not a table of changes: {given!r}; expected quantities by instrument.",
            field="deltas",
        )
    deltas = {}
    for instrument, delta in given.items():
        field, number = f"deltas[{instrument!r}]", as_finite(delta)
        if number is None:
            raise InvalidPortfolioError(f"Not a finite number: {delta!r}.", field=field)
        deltas[_name(instrument, field, InvalidPortfolioError)] = number
    return deltas


def read_reason(given: object) -> str:
    """Return the reason of a critical event; raises `InvalidSettingsError`."""
    if isinstance(given, str) and is_name(given.strip()) and len(given) <= MAX_REASON_CHARS:
        return given
    found = f"{len(given):,} characters" if isinstance(given, str) else repr(given)[:80]
    raise InvalidSettingsError(
        f"Not a reason: {found}; expected a text of 1 to {MAX_REASON_CHARS} characters.",
        field="event",
        remedy="Say in a few words what happened: reports and changes of state hold this text.",
    )


def read_event_portfolios(given: object) -> list[str] | None:
    """Return the ids that a critical event names, None for all; raises `InvalidPortfolioError`."""
    if given is None:
        return None
    ids = [] if isinstance(given, str | Mapping) or not isinstance(given, Iterable) else list(given)
    if not ids:
        raise InvalidPortfolioError(
            "Not a list of portfolio ids; expected one id or more.",
            field="portfolio_ids",
            remedy="Leave portfolio_ids out to check all live portfolios.",
        )
    if len(ids) > MAX_EVENT_PORTFOLIOS:
        raise InvalidPortfolioError(
            f"{len(ids):,} portfolio ids; expected {MAX_EVENT_PORTFOLIOS:,} at most.",
            field="portfolio_ids",
            remedy="Send several events, or leave portfolio_ids out to check all live portfolios.",
        )
    return [
        _name(one, f"portfolio_ids[{index}]", InvalidPortfolioError)
        for index, one in enumerate(ids)
    ]


def _name(given: object, field: str, error: type[RequestError], remedy: str | None = None) -> str:
    if not is_name(given):
        raise error(
            f"Not a name: {given!r}; expected a non-empty text.", field=field, remedy=remedy
        )
    return str(given)


def _encode(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Not a JSON value: {type(value).__name__}.")


def _convert(
    document: object,
    kind: type[Model],
    error: type[RequestError | InvalidMarketError],
    field: str,
) -> Model:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as failure:
        message, _, path = str(failure).partition(" - at `$")
        raise error(f"{message}.", field=field + path.rstrip("`")) from None
