"""One check as a Celery signature, for canvases and for producers without a client."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from celery import Celery, Signature

from risk_tasks.broker.canvas import require_allowed
from risk_tasks.client.options import read_lane
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import CHECK_TASK, LANE_OF_KIND
from risk_tasks.wire.documents import limit_set_document, portfolio_document, settings_document
from risk_tasks.wire.request import Detail

#: as the settings of the workers name it; a process that does not set it leaves the rest to them
_CALLBACK_QUEUES = "RISK_TASKS_CALLBACK_QUEUES"


#: the options of a signature that a message embeds, and their names there
_EMBEDDED = {"link": "callbacks", "link_error": "errbacks", "chain": "chain", "chord": "chord"}


class CheckSignature(Signature):  # type: ignore[misc]
    """A signature of `risk.check` that refuses a canvas whose callbacks workers would not send."""

    def apply_async(
        self, args: Any = None, kwargs: Any = None, route_name: str | None = None, **options: Any
    ) -> Any:
        """Send the check; raises `CallbackQueueError` for a callback to another queue."""
        merged = {**self.options, **options}
        named = {name: merged[option] for option, name in _EMBEDDED.items() if merged.get(option)}
        embed = {name: _plain(canvas, name) for name, canvas in named.items()}
        queues = os.environ.get(_CALLBACK_QUEUES)
        require_allowed(embed, None if queues is None else queues.split(","))
        return super().apply_async(args, kwargs, route_name, **options)

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> CheckSignature:
        """Return a copy with more arguments and options; a canvas copies its parts."""
        return CheckSignature(super().clone(args, kwargs, **options), app=self._app)


def _plain(canvas: Any, name: str) -> Any:
    """Return signatures as a message has them: a list, for a chord one."""
    if name == "chord":
        return canvas
    return list(canvas) if isinstance(canvas, list | tuple) else [canvas]


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
    a bad request. It has Celery's guarantees: no ledger, no bounded lanes, no deadline. Callbacks
    go to the queues of `RISK_TASKS_CALLBACK_QUEUES` only: applying a canvas with another one raises
    `CallbackQueueError`, or its result is that error. Raises `InvalidSettingsError` for an unknown
    lane and `UnknownMeasureError` for an unknown measure.
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
    return CheckSignature(CHECK_TASK, kwargs=given, options=options, app=app)
