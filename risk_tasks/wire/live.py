"""Live portfolios as plain JSON: changes of positions coming in, changes of state going out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from risk_tasks.errors import InvalidPortfolioError, InvalidSettingsError
from risk_tasks.model.live import LimitChange, LiveReport
from risk_tasks.model.name import is_name
from risk_tasks.model.number import as_finite
from risk_tasks.wire.documents import Document, report_document


def change_document(change: LimitChange) -> Document:
    """Return `change` as JSON values, with the names of its fields."""
    document: Document = msgspec.to_builtins(change)
    return document


def live_report_document(live: LiveReport) -> Document:
    """Return the latest report of a live portfolio as JSON values."""
    return {
        "version": live.version,
        "current_version": live.current_version,
        "age_s": live.age_s,
        "report": report_document(live.report),
    }


def read_portfolio_id(given: object) -> str:
    """Return the id that was given; raises `InvalidPortfolioError`."""
    if not is_name(given):
        raise InvalidPortfolioError("A name is a text that is not empty.", field="portfolio_id")
    return str(given)


def read_event_id(given: object, task_id: str) -> str:
    """Return the id of the event, that of the task where none was given.

    Raises `InvalidSettingsError`.
    """
    if given is None:
        return task_id
    if not is_name(given):
        raise InvalidSettingsError(
            "A name is a text that is not empty.",
            field="event_id",
            remedy="Give each change an id of its own, or none.",
        )
    return str(given)


def read_deltas(given: object) -> dict[str, float]:
    """Return what is added to each position; raises `InvalidPortfolioError` naming the field."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidPortfolioError(
            "Give what is added to the positions, by instrument.", field="deltas"
        )
    deltas = {}
    for instrument, delta in given.items():
        place, number = f"deltas[{instrument!r}]", as_finite(delta)
        if not is_name(instrument):
            raise InvalidPortfolioError("A name is a text that is not empty.", field=place)
        if number is None:
            raise InvalidPortfolioError(f"{delta!r} is not a finite number.", field=place)
        deltas[instrument] = number
    return deltas
