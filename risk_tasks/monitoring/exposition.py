"""An endpoint that Prometheus scrapes, and what every role tells there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, start_http_server
from prometheus_client.core import Metric

from risk_tasks.errors import StartError

PREFIX = "risk_tasks"


class Collector(Protocol):
    """What is asked at each scrape."""

    def collect(self) -> Iterable[Metric]: ...


class Endpoint:
    """Serves `collectors` at http://HOST:PORT/metrics until it is closed.

    A port of 0 is any free one. Raises `StartError` where it cannot listen there.
    """

    def __init__(self, host: str, port: int, role: str, collectors: Sequence[Collector]) -> None:
        registry = CollectorRegistry()
        # The library's types know one base class where it asks for one method.
        for collector in collectors:
            registry.register(collector)
        ProcessCollector(namespace=PREFIX, registry=registry)
        build = Gauge(
            f"{PREFIX}_build_info",
            "1, with the version and the role.",
            ["version", "role"],
            registry=registry,
        )
        build.labels(version("risk-tasks"), role).set(1)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise StartError(
                f"Metrics cannot be served at {host}:{port}: {error.strerror or error}.",
                field="RISK_TASKS_METRICS_PORT",
                remedy="Name a free port, or 0 for any: each role needs its own.",
            ) from None

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
