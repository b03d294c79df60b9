"""What machines ask of the gateway: whether it lives, whether it serves, what it measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.http.bodies import JSON_TYPE
from risk_tasks.http.documents import Health
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.http.tokens import Caller

#: how long a look at the broker holds: probes cost it nothing
_LOOK_EVERY_S = 0.5


class HealthRoutes:
    """`ping` raises where the broker does not answer; `drain` is said once, at the end."""

    def __init__(self, ping: Callable[[], object], registry: CollectorRegistry) -> None:
        self._ping = ping
        self._registry = registry
        self._is_draining = False
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    def drain(self) -> None:
        """Be ready no more, so that proxies and orchestrators send their requests to others."""
        self._is_draining = True

    async def live(self, request: Request, caller: Caller) -> Response:
        """The process answers."""
        return _told("live")

    async def ready(self, request: Request, caller: Caller) -> Response:
        """The broker answers, and the gateway is not about to stop."""
        if self._is_draining:
            raise ProblemError(
                503, "draining", "The gateway is stopping.", retry_after_s=RETRY_AFTER_S
            )
        async with self._looking:
            if time.monotonic() - self._looked_at > _LOOK_EVERY_S:
                await asyncio.to_thread(self._ping)
                self._looked_at = time.monotonic()
        return _told("ready")

    async def metrics(self, request: Request, caller: Caller) -> Response:
        """What the gateway measured, for Prometheus."""
        text = await asyncio.to_thread(generate_latest, self._registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _told(status: str) -> Response:
    return Response(msgspec.json.encode(Health(status)), media_type=JSON_TYPE)
