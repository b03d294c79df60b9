"""`/v1/checks`: checks as JSON documents or Arrow streams, and reports by the id of a check."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.errors import (
    InvalidPortfolioError,
    InvalidSettingsError,
    ReportTimeoutError,
)
from risk_tasks.http.arrow_streams import read_streams, write_streams
from risk_tasks.http.authentication import Role
from risk_tasks.http.bodies import ARROW_TYPE, JSON_TYPE, Name, decode_json, json_response
from risk_tasks.http.gateway import Gateway
from risk_tasks.http.idempotency import KEY_HEADER, KEY_PATTERN
from risk_tasks.http.openapi import (
    BINARY,
    RETRY_AFTER,
    TEXT,
    Content,
    Operations,
    Parameter,
    ResponseSpec,
)
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.http.publishing import LIMITS_EXAMPLE
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.queues import Lane
from risk_tasks.wire.documents import (
    LimitSetDocument,
    PortfolioDocument,
    SettingsDocument,
    read_limit_set,
    read_portfolio,
    read_settings,
    report_document,
)

operations = Operations()

#: keyword arguments of the methods of `AsyncRiskClient`
Options = dict[str, Any]

#: larger documents are read and written in a thread: they would block the event loop
_SMALL_BYTES = 64 << 10
_SMALL_BOOK = 50
#: wait for a report that may already be there
_POLL_S = 0.001
TIMEOUT_HEADER = "X-Timeout-Ms"
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?")

ONE_EXAMPLE: dict[str, Any] = {
    "portfolios": [
        {
            "id": "my-desk",
            "positions": {"AAPL": 20_000, "XOM": -9_000},
            "nav": 2_500_000,
            "tags": {"desk": "equities"},
        }
    ]
}
MANY_EXAMPLE: dict[str, Any] = {
    "portfolios": [
        {"id": "long", "positions": {"AAPL": 1_000}, "cash": 50_000},
        {"id": "short", "positions": {"AAPL": -1_000}, "cash": 500_000},
    ],
    "limits": LIMITS_EXAMPLE,
    "measures": ["value_at_risk", "expected_shortfall@0.975", "gross_leverage"],
    "settings": {"confidence": "0.99", "horizon_days": 1},
    "market": "default",
    "priority": "critical",
    "explain": True,
}
_REPORT_EXAMPLE: dict[str, Any] = {
    "portfolio_id": "my-desk",
    "market_id": "7a1f0c6f4f6c9f0f",
    "limits_version": None,
    "as_of": "2024-05-06T00:00:00Z",
    "status": "ok",
    "decision": "none",
    "measures": {
        "value_at_risk": {
            "value": 81_234.5,
            "unit": "ccy",
            "status": "ok",
            "reason": None,
            "n_observations": 1_000,
        }
    },
    "breaches": [],
    "not_evaluated": [],
    "input_hash": "0d5c3b7e",
    "timings": {"queued_ms": 0.4, "fetch_ms": 0.1, "compute_ms": 0.2},
    "limits_applied": 0,
    "data_quality": [],
}


class CheckRequest(Struct, forbid_unknown_fields=True):
    """Portfolios and the options of their checks; absent options have their defaults.

    A string among the portfolios is the id of a live portfolio; `min_version` rejects an earlier
    version of it.
    """

    portfolios: Annotated[list[PortfolioDocument | Name], Meta(min_length=1)]
    limits: LimitSetDocument | Name | None = None
    measures: list[str] | None = None
    settings: SettingsDocument | None = None
    market: Name | None = None
    priority: Lane = Lane.NORMAL
    explain: bool = False
    min_version: Annotated[int, Meta(ge=1)] | None = None


class CheckAccepted(Struct):
    """An accepted check; its reports are at `location`."""

    check_id: str
    location: str


class Reports(Struct):
    """One report for each portfolio, in the order of the request."""

    reports: list[RiskReport]


_TIMEOUT = Parameter(
    TIMEOUT_HEADER,
    "header",
    "The longest wait in milliseconds; after it the response is 504.",
    {"type": "integer", "minimum": 1, "maximum": 60_000},
)
_PREFER = Parameter(
    "Prefer", "header", "`respond-async`: 202 at once; `wait=N`: seconds to wait.", TEXT
)
_KEY = Parameter(
    KEY_HEADER,
    "header",
    "The same request under the same key is computed once within 15 minutes.",
    {"type": "string", "pattern": KEY_PATTERN},
)


def _query(name: str, description: str, **schema: Any) -> Parameter:
    return Parameter(name, "query", f"For Arrow bodies: {description}", {**TEXT, **schema})


_QUERY = (
    _query("limits", "name of a published limit set.", minLength=1),
    _query("measures", "names, separated by commas."),
    _query("market", "name or id of a published market.", minLength=1),
    _query("priority", "the lane.", enum=[lane.value for lane in Lane]),
    _query("settings", "settings of measures as JSON."),
    _query(
        "min_version",
        "reject earlier versions of live portfolios; needs `portfolio_id` as the only column.",
        type="integer",
        minimum=1,
    ),
    _query("tags", "columns that are tags although their names look like amounts, by commas."),
    _query("breaches", "`true` adds a second stream of breaches.", enum=["true", "false"]),
)
_REPORTS = Content(JSON_TYPE, Reports, {"reports": {"reports": [_REPORT_EXAMPLE]}})
_PENDING = ResponseSpec(
    202,
    "Accepted; the reports are at the location for 15 minutes.",
    (Content(JSON_TYPE, CheckAccepted),),
    (
        ("Location", "URL of the reports"),
        ("Preference-Applied", "respond-async"),
        RETRY_AFTER,
    ),
)


@operations.add(
    "POST",
    "/v1/checks",
    ResponseSpec(
        200,
        "One report or row for each portfolio, in the order of the request.",
        (_REPORTS, Content(ARROW_TYPE, BINARY)),
        (("Idempotency-Replayed", "true for the stored response of an earlier request"),),
    ),
    _PENDING,
    roles=(Role.CHECK,),
    parameters=(_TIMEOUT, _PREFER, _KEY, *_QUERY),
    bodies=(
        Content(JSON_TYPE, CheckRequest, {"one": ONE_EXAMPLE, "many": MANY_EXAMPLE}),
        Content(ARROW_TYPE, BINARY),
    ),
    problems=(400, 404, 406, 408, 409, 413, 415, 422, 429, 503, 504),
)
async def post_checks(gateway: Gateway, request: Request) -> Response:
    """Check portfolios: one or many as JSON, thousands as an Arrow stream.

    An Arrow body has one stream of positions, and optionally a second one about the portfolios. A
    table with `portfolio_id` as its only column names live portfolios.
    """
    preferences = read_preferences(request, gateway.max_wait_s)
    async with gateway.bodies.read(request, JSON_TYPE, ARROW_TYPE) as (media_type, body):
        check = _check_table if media_type == ARROW_TYPE else _check_documents
        return await gateway.idempotency.respond(
            request, body, lambda: check(gateway, request, body, preferences)
        )


@operations.add(
    "GET",
    "/v1/checks/{check_id}",
    ResponseSpec(200, "The reports of the check.", (_REPORTS,)),
    _PENDING,
    roles=(Role.CHECK, Role.READ),
    parameters=(
        Parameter("check_id", "path", "The id in the 202 response.", TEXT),
        _TIMEOUT,
        _PREFER,
    ),
    problems=(404, 422, 502, 503),
)
async def get_check(gateway: Gateway, request: Request) -> Response:
    """The reports of a check that was sent with `Prefer: respond-async`; 202 until they exist."""
    check_id = request.path_params["check_id"]
    wait_s = read_preferences(request, gateway.max_wait_s).wait_s
    try:
        reports = await gateway.risk.result(check_id, timeout_s=wait_s or _POLL_S)
    except ReportTimeoutError:
        return _accepted(check_id)
    return await _reports_response(reports)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The longest wait, None for the default, and whether to respond before the answer."""

    wait_s: float | None = None
    respond_async: bool = False


def read_preferences(request: Request, max_wait_s: float) -> Preferences:
    """Return the preferences in `X-Timeout-Ms`, which has precedence, and `Prefer` (RFC 7240).

    Raises `ProblemError` for an `X-Timeout-Ms` that is not a number of milliseconds up to
    `max_wait_s`. Unknown preferences are ignored, as RFC 7240 requires.
    """
    preferences = [one.strip().lower() for one in request.headers.get("prefer", "").split(",")]
    respond_async = "respond-async" in preferences
    timeout = request.headers.get(TIMEOUT_HEADER)
    if timeout is not None:
        return Preferences(_read_ms(timeout, max_wait_s) / 1e3, respond_async)
    waits = [found[1] for one in preferences if (found := _WAIT.fullmatch(one))]
    wait_s = min(float(waits[0]), max_wait_s) if waits and int(waits[0]) else None
    return Preferences(wait_s, respond_async)


def _read_ms(text: str, max_wait_s: float) -> int:
    max_ms = round(max_wait_s * 1e3)
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= max_ms:
        raise ProblemError(
            422,
            "invalid_settings",
            f"{TIMEOUT_HEADER} is {text[:20]!r}: expected milliseconds from 1 to {max_ms}.",
            field=TIMEOUT_HEADER,
            remedy=f"Give a whole number from 1 to {max_ms}.",
        )
    return int(text)


async def _check_documents(
    gateway: Gateway, request: Request, body: bytes, preferences: Preferences
) -> Response:
    if request.url.query:
        raise ProblemError(
            422,
            "bad_request",
            "The request has options in its query and a JSON body: expected them in the body.",
            field="query",
            remedy="Move the options into the document.",
        )
    if len(body) <= _SMALL_BYTES:
        portfolios, options = _read_documents(body)
    else:
        portfolios, options = await asyncio.to_thread(_read_documents, body)
    options["timeout_s"] = preferences.wait_s
    if preferences.respond_async:
        return _accepted((await gateway.risk.submit(portfolios, **options)).check_id)
    # An unknown live portfolio gets a report from check_many only: check_shared would raise.
    if len(portfolios) == 1 and isinstance(portfolios[0], Portfolio):
        return _encoded([await gateway.risk.check_shared(portfolios[0], **options)])
    return await _reports_response(await gateway.risk.check_many(portfolios, **options))


def _read_documents(body: bytes) -> tuple[list[Portfolio | str], Options]:
    """Return the portfolios and the options of their checks."""
    document = decode_json(body, CheckRequest)
    limits, settings = document.limits, document.settings
    options: Options = {
        "limits": read_limit_set(limits) if isinstance(limits, LimitSetDocument) else limits,
        "measures": document.measures,
        "settings": None if settings is None else read_settings(settings),
        "market": document.market,
        "priority": document.priority.value,
        "explain": document.explain,
        "min_version": document.min_version,
    }
    return [_portfolio(index, one) for index, one in enumerate(document.portfolios)], options


def _portfolio(index: int, document: PortfolioDocument | str) -> Portfolio | str:
    if isinstance(document, str):
        return document
    try:
        return read_portfolio(document)
    except InvalidPortfolioError as error:
        error.field = f"portfolios[{index}].{error.field}"
        raise


async def _reports_response(reports: Sequence[RiskReport]) -> Response:
    if len(reports) <= _SMALL_BOOK:
        return _encoded(reports)
    return await asyncio.to_thread(_encoded, reports)


def _encoded(reports: Sequence[RiskReport]) -> Response:
    return json_response({"reports": [report_document(report) for report in reports]})


def _accepted(check_id: str) -> Response:
    location = f"/v1/checks/{check_id}"
    headers = {
        "Location": location,
        "Retry-After": str(round(RETRY_AFTER_S)),
        "Preference-Applied": "respond-async",
    }
    return json_response(CheckAccepted(check_id, location), 202, headers)


async def _check_table(
    gateway: Gateway, request: Request, body: bytes, preferences: Preferences
) -> Response:
    """Return one stream with a row per portfolio, and with `breaches` a second one of breaches."""
    accepted = [
        one.partition(";")[0].strip() for one in request.headers.get("accept", "").split(",")
    ]
    if not {"", "*/*", "application/*", ARROW_TYPE} & set(accepted):
        raise ProblemError(
            406,
            "not_acceptable",
            f"Accept is {', '.join(accepted)[:100]!r}: expected {ARROW_TYPE}, the type of the "
            "response to an Arrow body.",
            field="Accept",
            remedy=f"Accept {ARROW_TYPE}, or send JSON.",
        )
    options = _read_query(request.query_params)
    options["timeout_s"] = preferences.wait_s
    positions, *about = await asyncio.to_thread(read_streams, body, 2)
    found: Any = await gateway.risk.check_table(
        positions, portfolios=about[0] if about else None, **options
    )
    tables: list[pa.Table] = list(found) if options["return_breaches"] else [found]
    return Response(await asyncio.to_thread(write_streams, tables), media_type=ARROW_TYPE)


def _read_query(query: Mapping[str, str]) -> Options:
    breaches = query.get("breaches", "false")
    if breaches not in {"true", "false"}:
        raise InvalidSettingsError(
            f"breaches is {breaches[:20]!r}: expected true or false.", field="breaches"
        )
    options: Options = {
        name: query[name] for name in ("limits", "market", "priority") if name in query
    }
    for name in ("measures", "tags"):
        if name in query:
            options[name] = query[name].split(",")
    if "settings" in query:
        options["settings"] = _read_settings(query["settings"])
    if "min_version" in query:
        options["min_version"] = _read_version(query["min_version"])
    return {**options, "return_breaches": breaches == "true"}


def _read_settings(text: str) -> Any:
    try:
        return read_settings(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidSettingsError(
            f"settings is not valid JSON: {error}.",
            field="settings",
            remedy='Send a JSON object, such as {"confidence": "0.99"}.',
        ) from None


def _read_version(text: str) -> int:
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) < 1:
        raise InvalidSettingsError(
            f"min_version is {text[:20]!r}: expected a whole number from 1.",
            field="min_version",
            remedy="Give the version that a change of the portfolio returned.",
        )
    return int(text)
