"""What the gateway measures of itself."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_PREFIX = "risk_tasks"
_BOUNDS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Meters:
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
            "From the head of a request to its answer.",
            ["route", "method"],
            buckets=_BOUNDS_S,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            f"{_PREFIX}_http_in_flight", "Requests being answered.", registry=self.registry
        )

        self.streams = Gauge(
            f"{_PREFIX}_http_streams", "Streams of changes being read.", registry=self.registry
        )

    def note(self, route: str, method: str, status: int, took_s: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(took_s)
