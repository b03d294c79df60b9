"""What Flower, events and logs show of a task: ids and counts, never quantities or names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from risk_tasks.broker.envelope import shown_id
from risk_tasks.broker.serving import ServedRequest


def request_summary(lane: str, args: Sequence[object], request: Mapping[str, Any]) -> str:
    """Return one line about a request of `risk.check`, valid or not."""
    portfolio = request.get("portfolio", args[0] if args else None)
    if not isinstance(portfolio, Mapping):
        return f"{lane}: 1 check, {shown_id(portfolio) if isinstance(portfolio, str) else '?'}"
    positions = _count(portfolio.get("positions"), "position")
    return f"{lane}: 1 check, {shown_id(portfolio.get('id'))}, {positions}"


def change_summary(lane: str, args: Sequence[object], request: Mapping[str, Any]) -> str:
    """Return one line about a change of a live portfolio, valid or not."""
    portfolio, deltas = request.get("portfolio"), request.get("deltas")
    held = portfolio if isinstance(portfolio, Mapping) else {}
    changed = deltas if isinstance(deltas, Mapping) else held.get("positions")
    name = shown_id(request.get("portfolio_id", held.get("id", "?")))
    return f"{lane}: {name}, {_count(changed, 'position')}"


def event_summary(lane: str, args: Sequence[object], request: Mapping[str, Any]) -> str:
    """Return one line about a critical event, valid or not."""
    ids = request.get("portfolio_ids")
    which = "all portfolios" if ids is None else _count(ids, "portfolio")
    return f"{lane}: {shown_id(request.get('event', '?'))}, {which}"


def report_summary(report: Mapping[str, Any]) -> str:
    """Return one line about a report as JSON values."""
    outcome = report.get("code") or report.get("decision")
    breaches = _count(report.get("breaches"), "breach", "breaches")
    return f"{shown_id(report.get('portfolio_id'))}: {outcome}, {breaches}"


def _count(items: object, one: str, many: str = "") -> str:
    n = len(items) if isinstance(items, Mapping | list) else 0
    return f"1 {one}" if n == 1 else f"{n} {many or one + 's'}"


class SummarisedRequest(ServedRequest):
    """A request of `risk.check` whose arguments are shown as one line.

    A producer's Celery writes the whole portfolio into the header of the message, which events,
    logs and `inspect` repeat.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        lane = str(self.delivery_info.get("routing_key")).removeprefix("risk.")
        self._argsrepr = self._summary(lane, self.args, self.kwargs)
        self._kwargsrepr = "{}"

    _summary = staticmethod(request_summary)

    def info(self, safe: bool = False) -> dict[str, Any]:
        return {**super().info(safe=True), "args": self._argsrepr, "kwargs": {}}


class SummarisedChange(SummarisedRequest):
    """A change of a live portfolio whose arguments are shown as one line."""

    _summary = staticmethod(change_summary)


class SummarisedEvent(SummarisedRequest):
    """A critical event whose arguments are shown as one line."""

    _summary = staticmethod(event_summary)


class SummarisedReport:
    """A report that is stored whole in the result backend and shown as one line elsewhere."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def __json__(self) -> dict[str, Any]:
        return self._document

    def __repr__(self) -> str:
        return report_summary(self._document)
