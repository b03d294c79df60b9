"""The Starlette application: all operations, authenticated, measured, with problems as errors."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from risk_tasks.http import breaches, checks, portfolios, publishing
from risk_tasks.http.authentication import Role
from risk_tasks.http.bodies import JSON_TYPE, json_response
from risk_tasks.http.gateway import Gateway
from risk_tasks.http.openapi import (
    TEXT,
    Content,
    Operation,
    Operations,
    ResponseSpec,
    openapi_document,
)
from risk_tasks.http.problems import ProblemError
from risk_tasks.log import log

operations = Operations()


class Health(msgspec.Struct):
    """State of the gateway: `live` or `ready`."""

    status: str


_HEALTH = ResponseSpec(200, "Yes.", (Content(JSON_TYPE, Health),))


@operations.add("GET", "/livez", _HEALTH)
async def livez(gateway: Gateway, request: Request) -> Health:
    """Whether the process answers."""
    return Health("live")


@operations.add("GET", "/readyz", _HEALTH, problems=(503,))
async def readyz(gateway: Gateway, request: Request) -> Health:
    """Whether the gateway serves: its broker answers, and it is not stopping."""
    await gateway.require_ready()
    return Health("ready")


@operations.add(
    "GET",
    "/metrics",
    ResponseSpec(200, "The Prometheus text format.", (Content("text/plain", TEXT),)),
    roles=(Role.OPERATE,),
)
async def metrics(gateway: Gateway, request: Request) -> Response:
    """Metrics of the gateway for Prometheus."""
    text = await asyncio.to_thread(generate_latest, gateway.metrics.registry)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


@operations.add(
    "GET",
    "/openapi.json",
    ResponseSpec(200, "OpenAPI 3.1.", (Content(JSON_TYPE, {"type": "object"}),)),
)
async def openapi(gateway: Gateway, request: Request) -> Response:
    """The OpenAPI document of the gateway."""
    return Response(_document(gateway.authenticator.is_required), media_type=JSON_TYPE)


@functools.cache
def _document(with_tokens: bool) -> bytes:
    return msgspec.json.encode(openapi_document(OPERATIONS, with_tokens=with_tokens))


OPERATIONS: tuple[Operation, ...] = (
    *checks.operations,
    *publishing.operations,
    *portfolios.operations,
    *breaches.operations,
    *operations,
)


def create_application(gateway: Gateway) -> Starlette:
    """Return an application with all operations. Neither starts nor connects anything."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    routes = [_route(gateway, path, by_method) for path, by_method in by_path.items()]
    return Starlette(routes=routes, exception_handlers={HTTPException: _unmatched})


def _route(gateway: Gateway, path: str, by_method: Mapping[str, Operation]) -> Route:
    """Return the route of a path: one for all methods, so that a 405 lists all of them."""

    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        operation = by_method["GET" if request.method == "HEAD" else request.method]
        with gateway.metrics.in_flight.track_inprogress():
            response = await _respond(gateway, operation, request)
        duration_s = time.perf_counter() - started
        gateway.metrics.record(path, request.method, response.status_code, duration_s)
        return response

    return Route(path, endpoint, methods=[*by_method])


async def _respond(gateway: Gateway, operation: Operation, request: Request) -> Response:
    try:
        request.state.caller = gateway.authenticator.authenticate(request, operation.roles)
        if operation.bodies:
            operation.check_query(request.query_params)
        answer = await operation.handler(gateway, request)
        return answer if isinstance(answer, Response) else json_response(answer)
    except ClientDisconnect:
        return ProblemError(
            400, "gone", "The client disconnected.", remedy="Send the request again."
        ).response()
    except Exception as error:
        problem = ProblemError.of(error)
        if problem.code == "error":
            log.exception("gateway.failed", operation=operation.id)
        elif problem.status >= 500:
            log.warning(
                "gateway.problem", operation=operation.id, code=problem.code, error=str(error)
            )
        return problem.response()


async def _unmatched(request: Request, error: Exception) -> Response:
    """Answer a request that no operation matches."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
    return ProblemError(
        error.status_code,
        code,
        f"Unknown operation {request.method} {request.url.path[:200]}.",
        remedy="See /openapi.json for all operations.",
        headers=dict(error.headers or {}),
    ).response()
