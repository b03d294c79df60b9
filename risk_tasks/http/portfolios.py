"""Live portfolios over HTTP: changes, checks after an event, and latest reports."""

from __future__ import annotations

import asyncio
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request

from risk_tasks.errors import InvalidPortfolioError, InvalidSettingsError
from risk_tasks.http.authentication import Role
from risk_tasks.http.bodies import JSON_TYPE, decode_json
from risk_tasks.http.gateway import Gateway
from risk_tasks.http.idempotency import KEY_HEADER, KEY_PATTERN, read_key
from risk_tasks.http.openapi import Content, Operations, Parameter, ResponseSpec
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.model.live import CriticalEvent
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.wire.documents import (
    MAX_EVENT_PORTFOLIOS,
    MAX_REASON_CHARS,
    Document,
    PortfolioDocument,
    live_report_document,
    portfolio_document,
)

operations = Operations()

_PATH = "/v1/portfolios/{portfolio_id}"
_ID = Parameter(
    "portfolio_id",
    "path",
    "The id of the portfolio, without a slash.",
    {"type": "string", "pattern": "^[^/]+$"},
)
_EVENT = Parameter(
    KEY_HEADER,
    "header",
    "The id of this change: repeated within a day it changes nothing, and the response has the "
    "version of the first change.",
    {"type": "string", "pattern": KEY_PATTERN},
)


class PortfolioRequest(Struct, forbid_unknown_fields=True):
    """A live portfolio; `id` is optional and equals the id in the path."""

    positions: dict[str, float]
    id: str | None = None
    cash: float | None = None
    nav: float | None = None
    tags: dict[str, str] = {}


class PositionsRequest(Struct, forbid_unknown_fields=True):
    """Changes of positions, in units by instrument."""

    deltas: Annotated[dict[str, float], Meta(min_length=1)]


class CriticalEventRequest(Struct, forbid_unknown_fields=True):
    """A reason to check live portfolios at once: all of them if `portfolio_ids` is absent."""

    event: Annotated[str, Meta(min_length=1, max_length=MAX_REASON_CHARS)]
    portfolio_ids: (
        Annotated[list[str], Meta(min_length=1, max_length=MAX_EVENT_PORTFOLIOS)] | None
    ) = None


class Held(Struct):
    """A live portfolio and its version, which counts its changes."""

    id: str
    version: int


class LivePortfolio(PortfolioDocument, kw_only=True):
    """The current state of a live portfolio; positions of 0 are left out."""

    version: int


class LatestReport(Struct):
    """The report of `version`; a later `current_version` is still being computed.

    `reason` is that of the critical event that requested the report, else null.
    """

    version: int
    current_version: int
    age_s: float
    report: RiskReport
    reason: str | None = None


_CHANGED = ResponseSpec(200, "`version` is the new version.", (Content(JSON_TYPE, Held),))
_CHANGES = {
    "roles": (Role.PUBLISH,),
    "parameters": (_ID, _EVENT),
    "problems": (400, 404, 408, 413, 415, 422, 503),
}
_READS = {"roles": (Role.READ,), "parameters": (_ID,), "problems": (404, 503)}


@operations.add(
    "PUT",
    _PATH,
    _CHANGED,
    bodies=(
        Content(
            JSON_TYPE,
            PortfolioRequest,
            {
                "book": {
                    "positions": {"AAPL": 1_000, "XOM": -400},
                    "nav": 2_500_000,
                    "tags": {"desk": "equities"},
                }
            },
        ),
    ),
    **_CHANGES,
)
async def put_portfolio(gateway: Gateway, request: Request) -> Held:
    """Create or replace a live portfolio, which is checked after every change from now on."""
    portfolio_id, event_id = request.path_params["portfolio_id"], read_key(request)
    async with gateway.bodies.read(request, JSON_TYPE) as (_, body):
        portfolio = await asyncio.to_thread(_read_portfolio, body, portfolio_id)
        version = await gateway.risk.set_portfolio(portfolio, event_id=event_id)
    return Held(portfolio_id, version)


@operations.add(
    "PATCH",
    _PATH,
    _CHANGED,
    bodies=(Content(JSON_TYPE, PositionsRequest, {"fill": {"deltas": {"AAPL": -100, "XOM": 50}}}),),
    **_CHANGES,
)
async def patch_portfolio(gateway: Gateway, request: Request) -> Held:
    """Add to the positions in one atomic step."""
    portfolio_id, event_id = request.path_params["portfolio_id"], read_key(request)
    async with gateway.bodies.read(request, JSON_TYPE) as (_, body):
        deltas = decode_json(body, PositionsRequest, error_type=InvalidPortfolioError).deltas
        version = await gateway.risk.change_positions(portfolio_id, deltas, event_id=event_id)
    return Held(portfolio_id, version)


@operations.add(
    "GET",
    _PATH,
    ResponseSpec(200, "The portfolio with its version.", (Content(JSON_TYPE, LivePortfolio),)),
    **_READS,
)
async def get_portfolio(gateway: Gateway, request: Request) -> Document:
    """The current state of a live portfolio."""
    portfolio = await gateway.risk.get_portfolio(request.path_params["portfolio_id"])
    return {**portfolio_document(portfolio), "version": portfolio.version}


@operations.add(
    "DELETE",
    _PATH,
    ResponseSpec(200, "`version` was the last version.", (Content(JSON_TYPE, Held),)),
    **(_READS | {"roles": (Role.PUBLISH,)}),
)
async def delete_portfolio(gateway: Gateway, request: Request) -> Held:
    """Remove a live portfolio; each of its limits that is not `ok` changes to `ok`."""
    portfolio_id = request.path_params["portfolio_id"]
    return Held(portfolio_id, await gateway.risk.remove_portfolio(portfolio_id))


@operations.add(
    "GET",
    f"{_PATH}/report",
    ResponseSpec(200, "The report and its version.", (Content(JSON_TYPE, LatestReport),)),
    **_READS,
)
async def get_latest_report(gateway: Gateway, request: Request) -> Document:
    """The latest report of a live portfolio; 404 `no_report` until the first is complete."""
    portfolio_id = request.path_params["portfolio_id"]
    latest = await gateway.risk.report(portfolio_id)
    if latest is None:
        # An empty success could be misread as a report without a breach.
        raise ProblemError(
            404,
            "no_report",
            f"The first report of {portfolio_id[:100]!r} is not complete.",
            remedy="Retry in a moment.",
            retry_after_s=RETRY_AFTER_S,
        )
    return live_report_document(latest)


@operations.add(
    "POST",
    "/v1/critical-events",
    ResponseSpec(200, "How many portfolios are checked.", (Content(JSON_TYPE, CriticalEvent),)),
    bodies=(
        Content(
            JSON_TYPE,
            CriticalEventRequest,
            {"halt": {"event": "exchange halt", "portfolio_ids": ["fund-7", "fund-8"]}},
        ),
    ),
    **(_CHANGES | {"parameters": (_EVENT,), "problems": (400, 408, 413, 415, 422, 503)}),
)
async def post_critical_event(gateway: Gateway, request: Request) -> CriticalEvent:
    """Check live portfolios at once, in the critical lane; their reports have the reason."""
    event_id = read_key(request)
    async with gateway.bodies.read(request, JSON_TYPE) as (_, body):
        wanted = decode_json(body, CriticalEventRequest, error_type=InvalidSettingsError)
        return await gateway.risk.critical_event(
            wanted.event, wanted.portfolio_ids, event_id=event_id
        )


def _read_portfolio(body: bytes, portfolio_id: str) -> Portfolio:
    found = decode_json(body, PortfolioRequest, error_type=InvalidPortfolioError)
    if found.id not in {None, portfolio_id}:
        raise InvalidPortfolioError(
            f"The body has id {str(found.id)[:100]!r}: expected {portfolio_id[:100]!r}, as in the "
            "path.",
            field="id",
            remedy="Leave the id out of the body, or use the id of the path.",
        )
    return Portfolio(portfolio_id, found.positions, cash=found.cash, nav=found.nav, tags=found.tags)
