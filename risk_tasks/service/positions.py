"""Changes of live portfolios as plain JSON, for services that have Celery alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from risk_tasks.errors import InvalidSettingsError, RequestError
from risk_tasks.model.report import ReportStatus
from risk_tasks.service.validation import describe
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.wire.documents import (
    Document,
    read_deltas,
    read_event_id,
    read_portfolio,
    read_portfolio_id,
)

_CHANGE_FIELDS = ("portfolio_id", "deltas", "event_id")
_UPDATE_FIELDS = ("portfolio", "portfolio_id", "event_id")

Request = Mapping[str, Any]


class PositionService:
    """Does what documents ask for, and answers with the version; a bad one is answered too.

    An event without an id has that of its task, so that a task which is delivered twice changes
    nothing the second time.
    """

    def __init__(self, portfolios: PortfolioStore) -> None:
        self._portfolios = portfolios

    def change(self, request: Request, args: Sequence[object], task_id: str) -> Document:
        """Add `deltas` to the positions of `portfolio_id`."""
        return _answer(self._change, request, args, task_id, _CHANGE_FIELDS)

    def update(self, request: Request, args: Sequence[object], task_id: str) -> Document:
        """Hold `portfolio` in place of what is held under its id; without one remove an id."""
        return _answer(self._update, request, args, task_id, _UPDATE_FIELDS)

    def _change(self, request: Request, task_id: str) -> tuple[str, int]:
        portfolio_id = read_portfolio_id(request.get("portfolio_id"))
        event_id = read_event_id(request.get("event_id"), task_id)
        deltas = read_deltas(request.get("deltas"))
        return portfolio_id, self._portfolios.change(portfolio_id, deltas, event_id)

    def _update(self, request: Request, task_id: str) -> tuple[str, int]:
        event_id = read_event_id(request.get("event_id"), task_id)
        named = request.get("portfolio_id")
        if request.get("portfolio") is None and named is not None:
            portfolio_id = read_portfolio_id(named)
            return portfolio_id, self._portfolios.remove(portfolio_id, event_id)
        portfolio = read_portfolio(request.get("portfolio"))
        if named is not None and named != portfolio.id:
            raise InvalidSettingsError(
                "It is not the id of the portfolio.",
                field="portfolio_id",
                remedy="Give it alone, to remove a portfolio.",
            )
        return portfolio.id, self._portfolios.set(portfolio, event_id)


def _answer(
    do: Callable[[Request, str], tuple[str, int]],
    request: Request,
    args: Sequence[object],
    task_id: str,
    fields: Sequence[str],
) -> Document:
    try:
        if args:
            raise InvalidSettingsError(
                "Nothing stands by position.", field="args", remedy=f"Name {', '.join(fields)}."
            )
        for name in request:
            if name not in fields:
                raise InvalidSettingsError(
                    "There is no such argument.", field=name, remedy=f"Use {', '.join(fields)}."
                )
        portfolio_id, version = do(request, task_id)
    except RequestError as refused:
        error = describe(refused)
        return {
            "status": ReportStatus.ERROR.value,
            "code": error.code,
            "message": error.message,
            "field": error.field,
            "remedy": error.remedy,
        }
    return {
        "status": ReportStatus.OK.value,
        "portfolio_id": portfolio_id,
        "version": version,
    }
