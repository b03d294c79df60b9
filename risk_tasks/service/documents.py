"""JSON checks: a task has one check as a document, and returns its report as a document."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from risk_tasks.errors import (
    InvalidLimitError,
    InvalidSettingsError,
    RequestError,
    UnknownLimitSetError,
)
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.report import Decision, ReportError, ReportStatus, RiskReport, Stamp
from risk_tasks.model.values import is_name
from risk_tasks.service.pipeline import Service
from risk_tasks.service.validation import describe
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.wire.documents import (
    Document,
    read_limit_set,
    read_portfolio,
    read_settings,
    report_document,
    require_arguments,
)
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Detail, Terms, pack_portfolios

_ARGUMENTS = ("portfolio", "limits", "measures", "settings", "market", "explain")


class DocumentService:
    """Checks documents with the service for blocks.

    Names of markets and limit sets are resolved when the check is computed, not when it is sent: a
    JSON check has the guarantees of Celery, not those of the ledger.
    """

    def __init__(self, service: Service, markets: MarketStore, limits: LimitStore) -> None:
        self._service = service
        self._markets = markets
        self._limits = limits

    def check(self, request: Mapping[str, Any], *portfolio: object) -> Document:
        """Return the report of the check in `request`; the report of a bad request has its error.

        The portfolio may also be the positional argument of the task.
        """
        started = time.perf_counter()
        given = {**request, "portfolio": portfolio[0]} if portfolio else request
        try:
            if len(portfolio) > 1 or (portfolio and "portfolio" in request):
                raise InvalidSettingsError(
                    "The portfolio is given twice, or another argument is positional.",
                    field="args",
                    remedy="Give the portfolio once, and all other arguments by name.",
                )
            report = self._check(given)
        except RequestError as error:
            report = _error_report(given.get("portfolio"), describe(error))
        document = report_document(report)
        document["timings"] = {"compute_ms": (time.perf_counter() - started) * 1e3}
        return document

    def _check(self, request: Mapping[str, Any]) -> RiskReport:
        require_arguments(request, _ARGUMENTS)
        portfolio = read_portfolio(request.get("portfolio"))
        limit_set, version = self._read_limits(request.get("limits"))
        settings, explain = request.get("settings"), request.get("explain")
        terms = Terms(
            parse_measures(request.get("measures")),
            MeasureSettings() if settings is None else read_settings(settings),
            limit_set,
            Detail.of_reports(False if explain is None else explain),
        )
        answer = self._service.check(
            pack_portfolios([portfolio], terms),
            Stamp(self._read_market(request.get("market")), version),
        )
        return reports([portfolio.id], [answer])[0]

    def _read_limits(self, given: object) -> tuple[LimitSet | None, str]:
        """Return the limits in the request, or else the version of the published ones."""
        if isinstance(given, Mapping):
            return read_limit_set(given), ""
        if not (given is None or is_name(given)):
            raise InvalidLimitError(
                f"Not a limit set or the name of one: {given!r:.80}.", field="limits"
            )
        version = self._limits.current().get(str(given or DEFAULT_NAME), "")
        if given is not None and not version:
            raise UnknownLimitSetError(f"No limit set {given!r} is published.", field="limits")
        return None, version

    def _read_market(self, given: object) -> str:
        if not (given is None or is_name(given)):
            raise InvalidSettingsError(
                f"Not the name or the id of a market: {given!r:.80}.", field="market"
            )
        name = str(given or DEFAULT_NAME)
        return self._markets.current().get(name, name if given else "")


def _error_report(portfolio: object, error: ReportError) -> RiskReport:
    named = portfolio.get("id") if isinstance(portfolio, Mapping) else None
    return RiskReport(
        portfolio_id=named if isinstance(named, str) else "",
        market_id=None,
        limits_version=None,
        as_of=None,
        status=ReportStatus.ERROR,
        decision=Decision.REJECT,
        error=error,
    )
