"""The endpoint of a role for Prometheus, and the collectors of workers and schedulers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import redis
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from risk_tasks.errors import StartError, TransportError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.metrics import BlockOutcome, BlockRecord
from risk_tasks.monitoring.status import LaneShards, shards_of
from risk_tasks.queues import LANE_CAPACITY, Lane
from risk_tasks.store.published import MarketStore
from risk_tasks.store.recompute import RecomputeStore
from risk_tasks.store.roles import RoleStore
from risk_tasks.store.telemetry import Backlog, LaneBacklog, read_backlog

if TYPE_CHECKING:
    # Only the worker has the libraries of the cache.
    from risk_tasks.cache import CircuitBreaker, TwoTiers

PREFIX = "risk_tasks"
#: upper bounds in seconds: fine where targets lie, up to the usual timeout of a client and beyond
BOUNDS_S = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.06, 0.12, 0.2),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


class Collector(Protocol):
    """Collects metrics at each scrape."""

    def collect(self) -> Iterable[Metric]: ...


class Endpoint:
    """Serves `collectors` at http://HOST:PORT/metrics until it is closed.

    Port 0 takes any free port. Raises `StartError` where it cannot listen.
    """

    def __init__(self, host: str, port: int, role: str, collectors: Sequence[Collector]) -> None:
        registry = CollectorRegistry()
        for collector in collectors:
            registry.register(collector)
        ProcessCollector(namespace=PREFIX, registry=registry)
        build = Gauge(
            f"{PREFIX}_build_info",
            "1, with the version and the role as labels.",
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
                remedy="Set a free port, or 0 for any: each role needs its own.",
            ) from None

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value=float(value))


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}_{name}", meaning, value=value)


def _by_lane(name: str, meaning: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", meaning, labels=["lane"])
    for lane, value in values.items():
        family.add_metric([str(lane)], float(value))
    return family


# --- the result cache of a worker

_CACHE_COUNTERS = {
    "read_bytes": ("cache_read_bytes", "Bytes of values found in the shared tier."),
    "written_bytes": ("cache_written_bytes", "Bytes of values written to the shared tier."),
    "local_evictions": ("cache_evictions", "Entries that the local tier evicted."),
    "corrupt": ("cache_corrupt_entries", "Damaged or foreign entries that were deleted."),
    "errors": ("cache_errors", "Calls of the shared tier that failed."),
    "refused": ("cache_refused_calls", "Calls not made because the circuit breaker was open."),
    "waits": ("cache_waits", "Results waited for because another worker computed them."),
    "arrivals": ("cache_arrivals", "Results that arrived from another worker."),
    "late": ("cache_late", "Results that had not arrived at the deadline."),
    "take_overs": ("cache_take_overs", "Results computed after another worker released them."),
    "saved_s": ("cache_saved_seconds", "Computing time that hits and arrivals saved."),
}


class CacheMetrics:
    """Reads the counters of the result cache at each scrape."""

    def __init__(self, tiers: TwoTiers, breaker: CircuitBreaker) -> None:
        self._tiers = tiers
        self._breaker = breaker

    def collect(self) -> Iterator[Metric]:
        counts = self._tiers.counters.snapshot()
        look_ups = CounterMetricFamily(
            f"{PREFIX}_cache_look_ups", "Results looked up in a tier.", labels=["tier", "outcome"]
        )
        for tier, hits, misses in (
            ("local", counts.local_hits, counts.local_misses),
            ("shared", counts.shared_hits, counts.shared_misses),
        ):
            look_ups.add_metric([tier, "hit"], hits)
            look_ups.add_metric([tier, "miss"], misses)
        yield look_ups
        for field, (name, meaning) in _CACHE_COUNTERS.items():
            yield _counter(name, meaning, getattr(counts, field))
        yield _gauge(
            "cache_local_bytes", "Bytes that the local tier holds.", self._tiers.local.size_bytes
        )
        yield _gauge(
            "cache_breaker_open",
            "Whether the circuit breaker of the shared tier is open.",
            self._breaker.is_open,
        )


# --- what a worker has done

_TIMES = {
    "check_latency": "From accepting a check until its answer is stored on the server.",
    "check_queued": "From accepting a check until a worker started its block.",
    "check_compute": "Computing the block of a check.",
}


class _Histogram:
    """Cumulative buckets; a block counts once for each of its checks."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float, n: int) -> None:
        self._counts[bisect_left(BOUNDS_S, seconds)] += n
        self._sum_s += seconds * n

    def sample(self) -> tuple[list[tuple[str, float]], float]:
        buckets, n = [], 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._counts, strict=True):
            n += count
            buckets.append((bound, float(n)))
        return buckets, self._sum_s


class _Lane:
    def __init__(self) -> None:
        self.checks = dict.fromkeys(("ok", "error", "failed"), 0)
        self.blocks = dict.fromkeys(BlockOutcome, 0)
        self.times = {name: _Histogram() for name in _TIMES}

    def add(self, block: BlockRecord) -> None:
        self.blocks[block.outcome] += 1
        if block.outcome is BlockOutcome.DUPLICATE:
            return
        if block.outcome is BlockOutcome.FAILED:
            self.checks["failed"] += block.n_checks
        else:
            self.checks["error"] += block.n_errors
            self.checks["ok"] += block.n_checks - block.n_errors
        times_s = (block.total_s, block.queued_s, block.compute_s)
        for name, seconds in zip(_TIMES, times_s, strict=True):
            if seconds is not None:
                self.times[name].add(seconds, block.n_checks)


_KERNELS = {
    "kernels": "Kernels that checks may need.",
    "kernels_ready": "Kernels that are compiled; a check that needs another one waits for it.",
}


class WorkerMetrics:
    """Counts records by lane; every lane and outcome exists from the start, with 0."""

    def __init__(self, threads: int, kernels: Callable[[], Mapping[str, int]] = dict) -> None:
        self._threads = threads
        self._kernels = kernels
        self._busy_s = 0.0
        self._lanes = {lane.value: _Lane() for lane in Lane}
        self._lock = Lock()

    def count(self, records: Iterable[BlockRecord]) -> None:
        with self._lock:
            for block in records:
                self._busy_s += block.busy_s
                self._lanes.setdefault(block.lane, _Lane()).add(block)

    def collect(self) -> list[Metric]:
        with self._lock:
            return [*self._counters(), *self._histograms()]

    def _counters(self) -> Iterator[Metric]:
        labels = ["lane", "outcome"]
        checks = CounterMetricFamily(f"{PREFIX}_checks", "Finished checks.", labels=labels)
        blocks = CounterMetricFamily(f"{PREFIX}_blocks", "Finished messages.", labels=labels)
        for name, lane in self._lanes.items():
            for outcome, n in lane.checks.items():
                checks.add_metric([name, outcome], n)
            for ended, n in lane.blocks.items():
                blocks.add_metric([name, ended.value], n)
        yield from (checks, blocks)
        yield _counter("busy_seconds", "Time that threads spent on messages.", self._busy_s)
        yield _gauge("threads", "Threads that compute.", self._threads)
        for name, n in self._kernels().items():
            yield _gauge(name, _KERNELS[name], n)

    def _histograms(self) -> Iterator[Metric]:
        for name, meaning in _TIMES.items():
            family = HistogramMetricFamily(f"{PREFIX}_{name}_seconds", meaning, labels=["lane"])
            for lane, counts in self._lanes.items():
                buckets, sum_s = counts.times[name].sample()
                family.add_metric([lane], buckets, sum_s)
            yield family


# --- what a scheduler reads from the server that all roles share

_SERVER_COUNTERS = {
    "duplicates": ("duplicate_blocks", "Answers that came second."),
    "expired": ("expired_checks", "Checks that no worker started before their deadline."),
    "requeued": ("requeued_blocks", "Blocks that were requeued after a fault."),
    "dead": ("dead_letters_made", "Blocks and malformed messages that became dead letters."),
    "quarantined": ("quarantined_messages", "Malformed messages that were kept from workers."),
    "redelivered": ("redelivered_messages", "Messages of other tasks that were sent again."),
    "live_recorded": ("live_reports", "Reports of live portfolios that were recorded."),
    "live_late": ("live_late_reports", "Reports that came after a later one."),
    "live_changes": ("live_changes", "Changes of state of limits in the breach stream."),
    "live_abandoned": ("live_abandoned", "Live portfolios that became dead letters."),
    "swept_blocks": ("swept_blocks", "Blocks that were removed long past their deadline."),
}
_LANE_GAUGES: Mapping[str, tuple[str, Callable[[LaneBacklog], float]]] = {
    "lane_checks": ("Checks that wait or run.", lambda lane: lane.n_checks),
    "lane_bytes": ("Bytes of the checks that wait or run.", lambda lane: lane.size_bytes),
    "lane_messages": ("Messages that wait.", lambda lane: lane.n_messages),
    "lane_oldest_age_seconds": (
        "Age of the oldest block that no worker has started; 0 without one.",
        lambda lane: lane.oldest_age_s or 0.0,
    ),
}
_LIVE_GAUGES = {
    "portfolios": ("live_portfolios", "Live portfolios."),
    "dirty": ("live_dirty", "Live portfolios that changed and wait."),
    "outdated": ("live_outdated", "Live portfolios on an earlier market or limit set."),
    "in_progress": ("live_in_progress", "Live portfolios that are being computed."),
    "oldest_dirty_s": (
        "live_oldest_dirty_seconds",
        "How long the oldest changed live portfolio has waited; 0 without one.",
    ),
}
_SHARD_GAUGES: Mapping[str, tuple[str, Callable[[LaneShards], float]]] = {
    "shards": ("Shards of a lane.", lambda lane: len(lane.shards)),
    "orphaned_shards": ("Shards that no running worker leases.", lambda lane: len(lane.orphaned)),
    "shard_imbalance": (
        "The largest share of the leases over the mean share; 0 without leases.",
        lambda lane: lane.imbalance or 0.0,
    ),
    "shard_oldest_age_seconds": (
        "Age of the oldest block of any shard; 0 without one.",
        lambda lane: max((one.oldest_age_s or 0.0 for one in lane.shards), default=0.0),
    ),
}


class ServerMetrics:
    """Reads the server at each scrape.

    While it is down, `risk_tasks_broker_up` is 0 and all other metrics are absent.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def collect(self) -> Iterator[Metric]:
        try:
            backlog = read_backlog(self._client)
            metrics = [*self._lanes(backlog), *self._totals(backlog)]
        except TransportError:
            metrics = []
        yield _gauge("broker_up", "Whether the server answers.", bool(metrics))
        yield from metrics

    def describe(self) -> list[Metric]:
        """Return nothing at registration: the server is read only by a scrape."""
        return []

    def _lanes(self, backlog: Backlog) -> Iterator[Metric]:
        lanes, roles = backlog.lanes, RoleStore(self._client).running()
        for name, (meaning, value) in _LANE_GAUGES.items():
            yield _by_lane(name, meaning, {lane: value(lanes[lane]) for lane in Lane})
        checks = {lane: LANE_CAPACITY[lane].checks for lane in Lane}
        yield _by_lane("lane_capacity_checks", "Checks that a lane accepts.", checks)
        size_bytes = {lane: LANE_CAPACITY[lane].size_bytes for lane in Lane}
        yield _by_lane("lane_capacity_bytes", "Bytes that a lane accepts.", size_bytes)
        workers = {lane: sum(role.serves(lane) for role in roles) for lane in Lane}
        yield _by_lane("workers", "Workers that serve a lane.", workers)
        n_schedulers = sum(role.role == "scheduler" for role in roles)
        yield _gauge("schedulers", "Schedulers.", n_schedulers)
        shards = shards_of(self._client, backlog)
        for name, (meaning, of_shards) in _SHARD_GAUGES.items():
            yield _by_lane(name, meaning, {lane: of_shards(one) for lane, one in shards.items()})

    def _totals(self, backlog: Backlog) -> Iterator[Metric]:
        yield _gauge("ledger_blocks", "Blocks accepted and not answered.", backlog.n_blocks)
        yield _gauge("ledger_overdue_blocks", "Blocks long past their deadline.", backlog.n_overdue)
        yield _gauge("dead_letters", "Dead letters that are kept.", backlog.n_dead)
        for counter, (name, meaning) in _SERVER_COUNTERS.items():
            yield _counter(name, meaning, backlog.counters.get(counter, 0))
        live = RecomputeStore(self._client).counts()
        for field, (name, meaning) in _LIVE_GAUGES.items():
            yield _gauge(name, meaning, getattr(live, field))
        has_default = DEFAULT_NAME in MarketStore(self._client).current()
        yield _gauge("default_market", "Whether a default market is published.", has_default)
