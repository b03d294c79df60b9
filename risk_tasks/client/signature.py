"""One check as a Celery signature, for canvases and for producers without a client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from celery import Celery, Signature

from risk_tasks.client.options import read_lane
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import CHECK_TASK, LANE_OF_KIND
from risk_tasks.wire.documents import limit_set_document, portfolio_document, settings_document
from risk_tasks.wire.request import Detail


def signature(
    portfolio: Portfolio | Mapping[str, Any],
    *,
    limits: LimitSet | Mapping[str, Any] | str | None = None,
    measures: Iterable[str] | None = None,
    settings: MeasureSettings | Mapping[str, Any] | None = None,
    market: str | None = None,
    explain: bool = False,
    priority: str = LANE_OF_KIND[CHECK_TASK],
    app: Celery | None = None,
) -> Signature:
    """Return the Celery signature of `risk.check` for `portfolio`.

    Its result is the report as JSON, or `{"status": "error", "code", "field", "remedy", ...}` for
    a bad request. It has Celery's guarantees: no ledger, no bounded lanes, no deadline. Raises
    `InvalidSettingsError` for an unknown lane and `UnknownMeasureError` for an unknown measure.
    """
    request = {
        "portfolio": portfolio_document(portfolio)
        if isinstance(portfolio, Portfolio)
        else portfolio,
        "limits": limit_set_document(limits) if isinstance(limits, LimitSet) else limits,
        "measures": None if measures is None else [str(name) for name in parse_measures(measures)],
        "settings": settings_document(settings)
        if isinstance(settings, MeasureSettings)
        else settings,
        "market": market,
        # Only if true: an older worker refuses arguments that it does not know.
        "explain": True if Detail.of_reports(explain) is Detail.EXPLAINED else None,
    }
    given = {name: value for name, value in request.items() if value is not None}
    options = {"queue": read_lane(priority).queue}
    return Signature(CHECK_TASK, kwargs=given, options=options, app=app)
