"""What a scheduler tells Prometheus of the server that all share, asked at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from risk_tasks.errors import TransportError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.monitoring.shards import LaneShards, read_shards
from risk_tasks.queues import LANE_CAPACITY, Lane
from risk_tasks.store.published import MarketStore
from risk_tasks.store.recompute import LiveCounts, RecomputeStore
from risk_tasks.store.roles import LiveRole, RoleStore
from risk_tasks.store.telemetry import Backlog, LaneBacklog, read_backlog

_COUNTERS = {
    "duplicates": ("duplicate_blocks", "Blocks that were answered once more."),
    "expired": ("expired_checks", "Checks that nobody started before their deadline."),
    "requeued": ("requeued_blocks", "Blocks that were requeued after a fault."),
    "dead": ("dead_letters_made", "Blocks that were given up, and messages kept from workers."),
    "quarantined": ("quarantined_messages", "Malformed messages that were kept from workers."),
    "live_recorded": ("live_reports", "Reports of live portfolios that were recorded."),
    "live_late": ("live_late_reports", "Those that came after a later one."),
    "live_changes": ("live_changes", "Changes of state of limits that were told."),
    "live_given_up": ("live_given_up", "Live portfolios that were given up."),
    "swept_blocks": ("swept_blocks", "Blocks that were removed long past their deadline."),
}
_LANE_GAUGES: Mapping[str, tuple[str, Callable[[LaneBacklog], float]]] = {
    "lane_checks": ("Checks that wait or run.", lambda lane: lane.n_checks),
    "lane_bytes": ("Bytes of what waits or runs.", lambda lane: lane.size_bytes),
    "lane_messages": ("Messages that wait.", lambda lane: lane.n_messages),
    "lane_oldest_age_seconds": (
        "How long the oldest block that nobody has started waits; 0 where none does.",
        lambda lane: lane.oldest_age_s or 0.0,
    ),
}


class ServerMetrics:
    """Reads the server at each scrape.

    Where it is away, `risk_tasks_broker_up` is 0 and all else is absent.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._roles = RoleStore(client)
        self._markets = MarketStore(client)
        self._recomputing = RecomputeStore(client)

    def collect(self) -> list[Metric]:
        up = GaugeMetricFamily("risk_tasks_broker_up", "Whether the server answers.", value=0)
        try:
            backlog = read_backlog(self._client)
            roles = self._roles.live()
            markets = self._markets.current()
            live = self._recomputing.counts()
            shards = read_shards(self._client)
        except TransportError:
            return [up]
        return [
            GaugeMetricFamily("risk_tasks_broker_up", "Whether the server answers.", value=1),
            *_lanes(backlog, roles),
            *_totals(backlog),
            *_live(live),
            *_shards(shards),
            _gauge("live_schedulers", "Schedulers.", sum(r.role == "scheduler" for r in roles)),
            _gauge("default_market", "Whether a default market is there.", DEFAULT_NAME in markets),
        ]

    def describe(self) -> list[Metric]:
        """Say nothing when registered: the server is asked when somebody scrapes."""
        return []


def _lanes(backlog: Backlog, roles: list[LiveRole]) -> Iterator[Metric]:
    for name, (meaning, value) in _LANE_GAUGES.items():
        yield _by_lane(name, meaning, {lane: value(backlog.lanes[lane]) for lane in Lane})
    yield _by_lane(
        "lane_capacity_checks",
        "Checks that a lane takes.",
        {lane: LANE_CAPACITY[lane].checks for lane in Lane},
    )
    yield _by_lane(
        "lane_capacity_bytes",
        "Bytes that a lane takes.",
        {lane: LANE_CAPACITY[lane].size_bytes for lane in Lane},
    )
    yield _by_lane(
        "live_workers",
        "Workers that serve a lane.",
        {lane: sum(lane in role.lanes.split(",") for role in roles) for lane in Lane},
    )


def _shards(lanes: Mapping[str, LaneShards]) -> Iterator[Metric]:
    values: dict[str, tuple[str, Callable[[LaneShards], float]]] = {
        "shards": ("Shards of a lane.", lambda lane: len(lane.shards)),
        "orphaned_shards": (
            "Shards that no living worker leases.",
            lambda lane: len(lane.orphaned),
        ),
        "shard_imbalance": (
            "The largest share of the leases by the mean share; 0 where nobody leases.",
            lambda lane: lane.imbalance or 0.0,
        ),
        "shard_oldest_age_seconds": (
            "How long the oldest block of any shard waits; 0 where none does.",
            lambda lane: max((one.oldest_age_s or 0.0 for one in lane.shards), default=0.0),
        ),
    }
    for name, (meaning, value) in values.items():
        yield _by_lane(name, meaning, {lane: value(one) for lane, one in lanes.items()})


def _totals(backlog: Backlog) -> Iterator[Metric]:
    yield _gauge("ledger_blocks", "Blocks that were accepted and not answered.", backlog.n_blocks)
    yield _gauge("ledger_overdue_blocks", "Those long past their deadline.", backlog.n_overdue)
    yield _gauge("dead_letters", "Dead letters that are kept.", backlog.n_dead)
    for counter, (name, meaning) in _COUNTERS.items():
        count = backlog.counters.get(counter, 0)
        yield CounterMetricFamily(f"risk_tasks_{name}", meaning, value=count)


def _live(live: LiveCounts) -> Iterator[Metric]:
    yield _gauge("live_portfolios", "Live portfolios.", live.portfolios)
    yield _gauge("live_dirty", "Those that changed and wait.", live.dirty)
    yield _gauge("live_outdated", "Those of an earlier market or limit set.", live.outdated)
    yield _gauge("live_underway", "Those that are being computed.", live.underway)
    yield _gauge(
        "live_oldest_dirty_seconds",
        "How long the oldest of those that changed waits; 0 where none does.",
        live.oldest_dirty_s,
    )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"risk_tasks_{name}", meaning, value=float(value))


def _by_lane(name: str, meaning: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"risk_tasks_{name}", meaning, labels=["lane"])
    for lane, value in values.items():
        family.add_metric([str(lane)], float(value))
    return family
