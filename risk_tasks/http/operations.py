"""What the gateway does, as one table: its routes and its OpenAPI document are made of it."""

from __future__ import annotations

from typing import Any

from risk_tasks.http import examples
from risk_tasks.http.bodies import ARROW_TYPE, JSON_TYPE
from risk_tasks.http.described import TEXT, Content, Operation, Parameter, Schema, Success, ref
from risk_tasks.http.documents import NAME_PATTERN
from risk_tasks.http.live_operations import LIVE_OPERATIONS
from risk_tasks.http.preferences import TIMEOUT_HEADER
from risk_tasks.http.repeats import KEY_HEADER, KEY_PATTERN
from risk_tasks.http.tokens import Role
from risk_tasks.queues import Lane

_BINARY: Schema = {"type": "string", "format": "binary"}
_RETRY: Schema = {"Retry-After": "seconds until it is worth another try"}

_TIMEOUT = Parameter(
    TIMEOUT_HEADER,
    "header",
    "Milliseconds that the caller waits; past them the answer is 504.",
    {"type": "integer", "minimum": 1, "maximum": 60_000},
)
_PREFER = Parameter(
    "Prefer", "header", "`respond-async`: 202 at once; `wait=N`: seconds to wait.", TEXT
)
_KEY = Parameter(
    KEY_HEADER,
    "header",
    "The same request under the same key is answered once, for 15 minutes.",
    {"type": "string", "pattern": KEY_PATTERN},
)
_NAME = Parameter(
    "name", "path", "What it is published as.", {"type": "string", "pattern": NAME_PATTERN}
)
_CHECK_ID = Parameter("check_id", "path", "As the 202 told it.", TEXT)
_WINDOW = Parameter(
    "window_days",
    "query",
    "For Arrow bodies: the last so many returns.",
    {"type": "integer", "minimum": 1, "maximum": 999_999},
)

_REPORTS = Content(JSON_TYPE, ref("Reports"), (("reports", {"reports": [examples.REPORT]}),))
_TABLES = Content(ARROW_TYPE, _BINARY)
_PENDING = Success(
    202,
    "Accepted; its reports are at the location, for 15 minutes.",
    (Content(JSON_TYPE, ref("CheckAccepted")),),
    (
        ("Location", "where the reports are read"),
        ("Preference-Applied", "respond-async"),
        *_RETRY.items(),
    ),
)
_HEALTH = (Success(200, "It does.", (Content(JSON_TYPE, ref("Health")),)),)


def _term(name: str, about: str, **schema: Any) -> Parameter:
    return Parameter(name, "query", f"For Arrow bodies: {about}", {"type": "string", **schema})


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "postChecks",
        "POST",
        "/v1/checks",
        "Check portfolios: one or many as JSON, thousands as an Arrow stream.",
        (
            Success(
                200,
                "One report for each portfolio, in their order; or a row each.",
                (_REPORTS, _TABLES),
                (("Idempotency-Replayed", "true where this is the first answer once more"),),
            ),
            _PENDING,
        ),
        (Role.CHECK,),
        (
            _TIMEOUT,
            _PREFER,
            _KEY,
            _term("limits", "name of a published limit set.", minLength=1),
            _term("measures", "names, joined by commas."),
            _term("market", "name or id of a published market.", minLength=1),
            _term("priority", "the lane.", enum=[lane.value for lane in Lane]),
            _term("settings", "settings of measures as a JSON text."),
            _term(
                "min_version",
                "refuses an earlier version; where the only column is `portfolio_id`.",
                type="integer",
                minimum=1,
            ),
            _term("breaches", "`true` for a second stream, of breaches.", enum=["true", "false"]),
        ),
        (
            Content(
                JSON_TYPE,
                ref("CheckRequest"),
                (("one", examples.ONE_CHECK), ("many", examples.MANY_CHECKS)),
            ),
            Content(ARROW_TYPE, _BINARY),
        ),
        (400, 404, 406, 408, 409, 413, 415, 422, 429, 503, 504),
    ),
    Operation(
        "getCheck",
        "GET",
        "/v1/checks/{check_id}",
        "The reports of a check that was sent with `Prefer: respond-async`.",
        (Success(200, "Its reports.", (_REPORTS,)), _PENDING),
        (Role.CHECK, Role.READ),
        (_CHECK_ID, _TIMEOUT, _PREFER),
        problems=(404, 422, 502, 503),
    ),
    Operation(
        "putMarket",
        "PUT",
        "/v1/markets/{name}",
        "Make prices the market of this name for all later checks.",
        (Success(200, "Published.", (Content(JSON_TYPE, ref("PublishedMarket")),)),),
        (Role.PUBLISH,),
        (_NAME, _WINDOW),
        (
            Content(JSON_TYPE, ref("MarketRequest"), (("prices", examples.MARKET),)),
            Content(ARROW_TYPE, _BINARY),
        ),
        (400, 408, 413, 415, 422, 503),
    ),
    Operation(
        "putLimits",
        "PUT",
        "/v1/limits/{name}",
        "Hold later checks that name this set, or the default one, against these limits.",
        (Success(200, "Published.", (Content(JSON_TYPE, ref("PublishedLimits")),)),),
        (Role.PUBLISH,),
        (_NAME,),
        (Content(JSON_TYPE, ref("LimitSet"), (("limits", examples.LIMITS),)),),
        (400, 408, 413, 415, 422, 503),
    ),
    *LIVE_OPERATIONS,
    Operation("livez", "GET", "/livez", "Whether the process answers.", _HEALTH),
    Operation("readyz", "GET", "/readyz", "Whether it serves.", _HEALTH, problems=(503,)),
    Operation(
        "metrics",
        "GET",
        "/metrics",
        "What the gateway measured, for Prometheus.",
        (Success(200, "Prometheus's text format.", (Content("text/plain", TEXT),)),),
        (Role.OPERATE,),
    ),
    Operation(
        "openapi",
        "GET",
        "/openapi.json",
        "This document.",
        (Success(200, "OpenAPI 3.1.", (Content(JSON_TYPE, {"type": "object"}),)),),
    ),
)
