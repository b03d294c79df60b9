"""The application: every operation behind the door, its problems told, its time taken."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from risk_tasks.client import AsyncRiskClient
from risk_tasks.http.bodies import JSON_TYPE, Bodies, BodyBounds
from risk_tasks.http.breaches import Breaches
from risk_tasks.http.checks import Checks
from risk_tasks.http.described import Operation
from risk_tasks.http.health import HealthRoutes
from risk_tasks.http.live import LivePortfolios
from risk_tasks.http.meters import Meters
from risk_tasks.http.openapi import openapi_document
from risk_tasks.http.operations import OPERATIONS
from risk_tasks.http.problems import ProblemError
from risk_tasks.http.publishing import Publishing
from risk_tasks.http.repeats import Repeats
from risk_tasks.http.tokens import Caller, Door, Token
from risk_tasks.store.idempotency import IdempotencyStore

log = structlog.get_logger("risk_tasks")

Handler = Callable[[Request, Caller], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the routes are made of; `ping` raises where the broker does not answer."""

    risk: AsyncRiskClient
    store: IdempotencyStore
    ping: Callable[[], object]
    tokens: tuple[Token, ...] = ()
    bounds: BodyBounds = field(default_factory=BodyBounds)
    #: the longest that a caller may ask to wait
    most_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Application:
    """`asgi` serves requests; `drain` lets none be sent here any more, `close` ends it."""

    asgi: Starlette
    drain: Callable[[], None]
    close: Callable[[], None]


def create_application(gateway: Gateway) -> Application:
    """Return what serves every operation of the table; starts and connects nothing."""
    meters, door, bodies = Meters(), Door(gateway.tokens), Bodies(gateway.bounds)
    repeats = Repeats(gateway.store)
    checks = Checks(gateway.risk, bodies, repeats, most_s=gateway.most_s)
    publishing = Publishing(gateway.risk, bodies)
    live, breaches = LivePortfolios(gateway.risk, bodies), Breaches(gateway.risk, meters)
    health = HealthRoutes(gateway.ping, meters.registry)
    document = msgspec.json.encode(openapi_document(OPERATIONS, is_locked=door.is_locked))

    async def openapi(request: Request, caller: Caller) -> Response:
        return Response(document, media_type=JSON_TYPE)

    handlers: dict[str, Handler] = {
        "postChecks": checks.post,
        "getCheck": checks.get,
        "putMarket": publishing.put_market,
        "putLimits": publishing.put_limits,
        "putPortfolio": live.put,
        "patchPortfolio": live.patch,
        "getPortfolio": live.get,
        "deletePortfolio": live.delete,
        "getLatestReport": live.report,
        "getBreaches": breaches.get,
        "livez": health.live,
        "readyz": health.ready,
        "metrics": health.metrics,
        "openapi": openapi,
    }
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in OPERATIONS:
        endpoint = _endpoint(operation, handlers[operation.id], door, meters)
        by_path.setdefault(operation.path, {})[operation.method] = endpoint
    # One route for all methods of a path: a 405 names them all.
    routes = [Route(path, _by_method(found), methods=[*found]) for path, found in by_path.items()]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _elsewhere})

    def drain() -> None:
        health.drain()
        breaches.drain()

    return Application(app, drain, repeats.close)


def _by_method(found: Mapping[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await found["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


def _endpoint(operation: Operation, handler: Handler, door: Door, meters: Meters) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        with meters.in_flight.track_inprogress():
            try:
                caller = door.admit(request, operation.roles) if operation.roles else Caller("")
                response = await handler(request, caller)
            except ClientDisconnect:
                # Nobody reads it.
                response = ProblemError(400, "gone", "The caller has gone.").response()
            except Exception as error:
                response = _told(error, operation)
        took_s = time.perf_counter() - started
        meters.note(operation.path, request.method, response.status_code, took_s)
        return response

    return endpoint


def _told(error: Exception, operation: Operation) -> Response:
    problem = ProblemError.of(error)
    if problem.code == "error":
        log.error("gateway.failed", operation=operation.id, exc_info=error)
    elif problem.status >= 500:
        log.warning("gateway.problem", operation=operation.id, code=problem.code, error=str(error))
    return problem.response()


async def _elsewhere(request: Request, error: Exception) -> Response:
    """Answer what no operation fits."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
    return ProblemError(
        error.status_code,
        code,
        f"There is no {request.method} {request.url.path[:200]} here.",
        remedy="/openapi.json lists what there is.",
        headers=dict(error.headers or {}),
    ).response()
