"""The state that all operations share, and the metrics of the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from risk_tasks.client import AsyncRiskClient
from risk_tasks.http.authentication import Authenticator, Token
from risk_tasks.http.bodies import Bodies, BodyBounds
from risk_tasks.http.idempotency import Idempotency
from risk_tasks.http.problems import ProblemError
from risk_tasks.store.idempotency import IdempotencyStore

_PREFIX = "risk_tasks"
_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: a successful ping is valid for this long, so that frequent probes cost the broker nothing
_PING_VALID_S = 0.5


class GatewayMetrics:
    """Requests by route, method and status, never by caller or portfolio."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace=_PREFIX, registry=self.registry)
        build = Gauge(
            f"{_PREFIX}_build_info",
            "1, with the version and the role.",
            ["version", "role"],
            registry=self.registry,
        )
        build.labels(version("risk-tasks"), "gateway").set(1)
        self._requests = Counter(
            f"{_PREFIX}_http_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            f"{_PREFIX}_http_request_seconds",
            "Time from the head of a request to its response.",
            ["route", "method"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            f"{_PREFIX}_http_in_flight", "Requests in progress.", registry=self.registry
        )
        self.streams = Gauge(
            f"{_PREFIX}_http_streams", "Open streams of limit changes.", registry=self.registry
        )

    def record(self, route: str, method: str, status: int, duration_s: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(duration_s)


class Gateway:
    """The state of one gateway, passed to every handler.

    `ping` raises `TransportError` where the broker does not answer. A request may wait `max_wait_s`
    at most.
    """

    def __init__(
        self,
        risk: AsyncRiskClient,
        store: IdempotencyStore,
        ping: Callable[[], object],
        *,
        tokens: Sequence[Token] = (),
        bounds: BodyBounds | None = None,
        max_wait_s: float = 60.0,
    ) -> None:
        self.risk = risk
        self.max_wait_s = max_wait_s
        self.authenticator = Authenticator(tokens)
        self.bodies = Bodies(bounds or BodyBounds())
        self.idempotency = Idempotency(store)
        self.metrics = GatewayMetrics()
        self.is_draining = False
        self.n_streams = 0
        self._ping = ping
        self._pinged_at = float("-inf")
        self._pinging = asyncio.Lock()

    def drain(self) -> None:
        """Report 'not ready' and end all streams, so that clients use other gateways."""
        self.is_draining = True

    def close(self) -> None:
        self.idempotency.close()

    def require_not_draining(self) -> None:
        if self.is_draining:
            raise ProblemError(
                503, "draining", "The gateway is stopping.", remedy="Use another gateway."
            )

    async def require_ready(self) -> None:
        """Raise `TransportError` without a broker, `ProblemError` 503 while draining."""
        self.require_not_draining()
        async with self._pinging:
            if time.monotonic() - self._pinged_at > _PING_VALID_S:
                await asyncio.to_thread(self._ping)
                self._pinged_at = time.monotonic()

    def count_stream(self, change: int) -> None:
        self.n_streams += change
        self.metrics.streams.set(self.n_streams)
