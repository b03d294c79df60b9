"""Changes of live portfolios and critical events as plain JSON, for services with Celery only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from risk_tasks.errors import InvalidSettingsError, RequestError
from risk_tasks.model.report import ReportStatus
from risk_tasks.service.validation import describe
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.wire.documents import (
    Document,
    read_deltas,
    read_event_id,
    read_event_portfolios,
    read_portfolio,
    read_portfolio_id,
    read_reason,
    require_arguments,
)

_CHANGE_ARGUMENTS = ("portfolio_id", "deltas", "event_id")
_UPDATE_ARGUMENTS = ("portfolio", "portfolio_id", "event_id")
_EVENT_ARGUMENTS = ("event", "portfolio_ids", "event_id")

Request = Mapping[str, Any]


class PositionService:
    """Answers documents about live portfolios; a malformed one is answered with its error.

    An event without an id has the id of its task, so that a task which is delivered twice changes
    nothing the second time.
    """

    def __init__(self, portfolios: PortfolioStore) -> None:
        self._portfolios = portfolios

    def change(self, request: Request, args: Sequence[object], task_id: str) -> Document:
        """Add `deltas` to the positions of `portfolio_id`; answers with the new version."""
        return _answer(self._change, request, args, task_id, _CHANGE_ARGUMENTS)

    def update(self, request: Request, args: Sequence[object], task_id: str) -> Document:
        """Store `portfolio`, or without one remove `portfolio_id`; answers with the version."""
        return _answer(self._update, request, args, task_id, _UPDATE_ARGUMENTS)

    def critical_event(self, request: Request, args: Sequence[object], task_id: str) -> Document:
        """Check `portfolio_ids`, or all, at once because of `event`; answers with unknown ids."""
        return _answer(self._critical_event, request, args, task_id, _EVENT_ARGUMENTS)

    def _change(self, request: Request, event_id: str) -> Document:
        portfolio_id = read_portfolio_id(request.get("portfolio_id"))
        deltas = read_deltas(request.get("deltas"))
        version = self._portfolios.change(portfolio_id, deltas, event_id)
        return {"portfolio_id": portfolio_id, "version": version}

    def _update(self, request: Request, event_id: str) -> Document:
        named = request.get("portfolio_id")
        if request.get("portfolio") is None and named is not None:
            portfolio_id = read_portfolio_id(named)
            version = self._portfolios.remove(portfolio_id, event_id)
            return {"portfolio_id": portfolio_id, "version": version}
        portfolio = read_portfolio(request.get("portfolio"))
        if named is not None and named != portfolio.id:
            raise InvalidSettingsError(
                f"{named!r} is not the id of the portfolio: expected {portfolio.id!r}.",
                field="portfolio_id",
                remedy="Leave portfolio_id out, or leave portfolio out to remove portfolio_id.",
            )
        return {
            "portfolio_id": portfolio.id,
            "version": self._portfolios.set(portfolio, event_id),
        }

    def _critical_event(self, request: Request, event_id: str) -> Document:
        reason = read_reason(request.get("event"))
        ids = read_event_portfolios(request.get("portfolio_ids"))
        event = self._portfolios.critical_event(reason, ids, event_id)
        return {"n_portfolios": event.n_portfolios, "unknown_ids": list(event.unknown_ids)}


def _answer(
    do: Callable[[Request, str], Document],
    request: Request,
    args: Sequence[object],
    task_id: str,
    names: Sequence[str],
) -> Document:
    try:
        if args:
            raise InvalidSettingsError(
                f"{len(args)} positional arguments: expected none.",
                field="args",
                remedy=f"Give {', '.join(names)} by name.",
            )
        require_arguments(request, names)
        event_id = read_event_id(request.get("event_id"), task_id)
        return {"status": ReportStatus.OK.value, **do(request, event_id)}
    except RequestError as error:
        return {"status": ReportStatus.ERROR.value, **asdict(describe(error))}
