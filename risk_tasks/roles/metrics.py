"""Metrics of a role: the Prometheus endpoint, and the recorder of a worker."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import redis

from risk_tasks.errors import TransportError
from risk_tasks.log import log
from risk_tasks.metrics import Record
from risk_tasks.monitoring.prometheus import CacheMetrics, Collector, Endpoint, WorkerMetrics
from risk_tasks.monitoring.recording import BufferedRecorder, Sink, SlotWriter
from risk_tasks.roles.presence import Repeater
from risk_tasks.settings import Settings
from risk_tasks.store.telemetry import SlotStore

if TYPE_CHECKING:
    from risk_tasks.roles.compiling import KernelSupply
    from risk_tasks.roles.result_cache import TieredCache
    from risk_tasks.service import LimitMatches

#: the longest delay of a figure
_FLUSH_EVERY_S = 1.0


def open_endpoint(settings: Settings, role: str, *collectors: Collector) -> Endpoint | None:
    """Serve `collectors` to Prometheus; None if no port is set."""
    if settings.metrics == "off" or settings.metrics_port is None:
        return None
    return Endpoint(settings.metrics_host, settings.metrics_port, role, collectors)


def endpoint_fields(endpoint: Endpoint | None) -> dict[str, int]:
    """Return the fields about the endpoint for the log line `ready` of a role."""
    return {"metrics_port": endpoint.port} if endpoint else {}


class WorkerMonitoring:
    """The recorder of a worker; from `start` to `stop` its slots are written once a second."""

    def __init__(
        self,
        settings: Settings,
        client: redis.Redis,
        name: str,
        cache: TieredCache,
        kernels: KernelSupply,
        matches: LimitMatches,
    ) -> None:
        self.record: Record = lambda _: None
        self.endpoint: Endpoint | None = None
        self._repeater: Repeater | None = None
        if settings.metrics == "off":
            return
        # Unique per process: a restarted process of the same name has a slot of its own.
        process = f"{name}:{uuid.uuid4().hex[:8]}"
        self._slots = SlotWriter(
            SlotStore(client),
            process,
            threads=settings.concurrency,
            look_ups=cache.look_ups,
            matches=matches.so_far,
        )
        sinks: list[Sink] = [self._slots]
        if settings.metrics_port is not None:
            exposed = WorkerMetrics(settings.concurrency, lambda: kernels.state)
            self.endpoint = open_endpoint(
                settings, "worker", exposed, CacheMetrics(cache.tiers, cache.breaker)
            )
            sinks.append(exposed)
        self._recorder = BufferedRecorder(sinks)
        self.record = self._recorder.record
        self._repeater = Repeater(self._flush, every_s=_FLUSH_EVERY_S, name="metrics")

    def start(self) -> None:
        if self._repeater is not None:
            self._repeater.start()

    def stop(self) -> None:
        """Write the last figures and close the endpoint."""
        if self._repeater is not None:
            self._repeater.stop()
            try:
                self._flush()
            except TransportError as error:
                log.warning("metrics.not_written", error=str(error))
        if self.endpoint is not None:
            self.endpoint.close()

    def _flush(self) -> None:
        self._recorder.flush()
        self._slots.write()
