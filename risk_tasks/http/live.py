"""`/v1/portfolios`: what the system holds, changes of it, and the latest reports."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.client import AsyncRiskClient
from risk_tasks.errors import InvalidPortfolioError
from risk_tasks.http.bodies import JSON_TYPE, Bodies, media_type
from risk_tasks.http.documents import Held, PortfolioRequest, PositionsRequest, read_body
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.http.repeats import read_key
from risk_tasks.http.tokens import Caller
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.wire.documents import portfolio_document
from risk_tasks.wire.live import live_report_document


class LivePortfolios:
    """Holds, changes and shows portfolios; an idempotency key is the id of an event of one."""

    def __init__(self, risk: AsyncRiskClient, bodies: Bodies) -> None:
        self._risk = risk
        self._bodies = bodies

    async def put(self, request: Request, caller: Caller) -> Response:
        """Hold the portfolio of the body in place of whatever is held."""
        portfolio_id, event_id = _id(request), read_key(request)
        kind = media_type(request, JSON_TYPE)
        async with self._bodies.read(request, kind) as body:
            portfolio = await asyncio.to_thread(_read_portfolio, body, portfolio_id)
            version = await self._risk.set_portfolio(portfolio, event_id=event_id)
        return _told(Held(portfolio_id, version))

    async def patch(self, request: Request, caller: Caller) -> Response:
        """Add the deltas of the body to its positions."""
        portfolio_id, event_id = _id(request), read_key(request)
        kind = media_type(request, JSON_TYPE)
        async with self._bodies.read(request, kind) as body:
            asked = read_body(body, PositionsRequest, fault=InvalidPortfolioError)
            version = await self._risk.change_positions(
                portfolio_id, asked.deltas, event_id=event_id
            )
        return _told(Held(portfolio_id, version))

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return it as it is now."""
        held = await self._risk.get_portfolio(_id(request))
        return _told({**portfolio_document(held), "version": held.version})

    async def delete(self, request: Request, caller: Caller) -> Response:
        """Hold it no longer."""
        portfolio_id = _id(request)
        return _told(Held(portfolio_id, await self._risk.remove_portfolio(portfolio_id)))

    async def report(self, request: Request, caller: Caller) -> Response:
        """Return its latest report, and of which version that is."""
        portfolio_id = _id(request)
        latest = await self._risk.report(portfolio_id)
        if latest is None:
            # No success without a report: it could be read as one without a breach.
            raise ProblemError(
                404,
                "no_report",
                f"No report of {portfolio_id[:100]!r} has been made yet.",
                remedy="Ask again in a moment.",
                retry_after_s=RETRY_AFTER_S,
            )
        return _told(live_report_document(latest))


def _id(request: Request) -> str:
    portfolio_id: str = request.path_params["portfolio_id"]
    return portfolio_id


def _read_portfolio(body: bytes, portfolio_id: str) -> Portfolio:
    asked = read_body(body, PortfolioRequest, fault=InvalidPortfolioError)
    if asked.id not in {None, portfolio_id}:
        raise InvalidPortfolioError(
            "The body is of another portfolio than the path.",
            field="id",
            remedy="Leave it out of the body, or name the same.",
        )
    return Portfolio(portfolio_id, asked.positions, cash=asked.cash, nav=asked.nav, tags=asked.tags)


def _told(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type=JSON_TYPE)
