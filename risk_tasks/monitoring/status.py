"""The status of a running system, from what workers recorded and what the server holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.histograms import Durations
from risk_tasks.keys import SHARD_LEASE_TTL_S, shard_workers_key
from risk_tasks.monitoring.recording import LaneCounts
from risk_tasks.queues import LANE_CAPACITY, SHARDED_LANES, Lane
from risk_tasks.server_clock import server_s
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.recompute import LiveCounts, RecomputeStore
from risk_tasks.store.roles import AutoscalerReport, AutoscalerStore, RoleStore, RunningRole
from risk_tasks.store.shards import ShardStore
from risk_tasks.store.telemetry import (
    Backlog,
    LaneBacklog,
    LimitWork,
    Slot,
    SlotStore,
    Waiting,
    Window,
    read_backlog,
)

#: the default window
WINDOW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """A distribution over checks, in ms; None without counts."""

    avg_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStatus:
    """One lane: what it holds now, how many workers serve it, and what finished in the window."""

    depth: int
    depth_bytes: int
    messages: int
    oldest_age_s: float | None
    capacity: int
    capacity_bytes: int
    workers: int
    count: int
    errors: int
    unanswered: int
    queued: Times
    compute: Times
    total: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCount:
    """How many kernels a worker has, and how many are compiled: checks wait for the others."""

    ready: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSetStatus:
    """A published limit set: checks in the window, and the limits that apply to none of them."""

    version: str
    checks: int
    unmatched: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole system, as docs/guides/monitoring.md defines it; None where no value is known."""

    window_s: float
    count: int
    avg_response_time_ms: float | None
    p95_response_time_ms: float | None
    p99_response_time_ms: float | None
    cache_hit_ratio: float | None
    calculations_per_second: float | None
    queue_processing_rate: float | None
    error_rate: float | None
    worker_utilization: float | None
    work_per_check_ms: float | None
    busy_by_worker: dict[str, float | None]
    kernels_by_worker: dict[str, KernelCount]
    workers: int
    schedulers: int
    dead_letters: int
    markets: dict[str, str]
    limit_sets: dict[str, LimitSetStatus]
    lanes: dict[str, LaneStatus]
    live: LiveCounts
    autoscaler: AutoscalerReport | None = None


def read_status(client: redis.Redis, window_s: float = WINDOW_S) -> Status:
    """Return the status of the system on the server of `client`.

    Raises `TransportError` where the server is down, and `DecodeError` for records of workers of
    another version that cannot be decoded.
    """
    window = SlotStore(client).read(window_s)
    backlog = read_backlog(client)
    roles = RoleStore(client).running()
    by_lane = _merged(window)
    every = LaneCounts()
    for counts in by_lane.values():
        every.merge(counts.work())
    times = _times(every.total)
    n_workers = sum(role.role == "worker" for role in roles)
    n_unanswered = sum(window.unanswered.values())
    measured = bool(window.slots)
    return Status(
        window_s=window.seconds,
        count=every.n_checks,
        avg_response_time_ms=times.avg_ms,
        p95_response_time_ms=times.p95_ms,
        p99_response_time_ms=times.p99_ms,
        cache_hit_ratio=_cache_hit_ratio(window),
        calculations_per_second=every.n_checks / window.seconds if measured else None,
        queue_processing_rate=every.n_blocks / window.seconds if measured else None,
        error_rate=_ratio(every.n_errors + n_unanswered, every.n_checks + n_unanswered),
        worker_utilization=_utilization(window.slots),
        work_per_check_ms=_work_per_check_ms(window, every.n_checks),
        busy_by_worker=_busy_by_worker(window, roles),
        kernels_by_worker={
            role.name: KernelCount(ready=role.kernels_ready, total=role.kernels)
            for role in roles
            if role.role == "worker"
        },
        workers=n_workers,
        schedulers=sum(role.role == "scheduler" for role in roles),
        dead_letters=backlog.n_dead,
        markets=dict(sorted(MarketStore(client).current().items())),
        limit_sets={
            name: _limit_set_status(version, window)
            for name, version in sorted(LimitStore(client).current().items())
        },
        lanes={
            lane.value: _lane_status(
                lane,
                backlog.lanes[lane],
                by_lane[lane],
                roles,
                window.unanswered.get(lane.value, 0),
            )
            for lane in Lane
        },
        live=RecomputeStore(client).counts(),
        autoscaler=AutoscalerStore(client).read(),
    )


def _limit_set_status(version: str, window: Window) -> LimitSetStatus:
    work = LimitWork()
    for slot in window.slots:
        work += slot.limits.get(version, LimitWork())
    return LimitSetStatus(version=version, checks=work.n_checks, unmatched=work.unmatched)


def _cache_hit_ratio(window: Window) -> float | None:
    """Return hits over look-ups; None without look-ups."""
    looked_up = [slot.look_ups for slot in window.slots]
    return _ratio(sum(one.hits for one in looked_up), sum(one.n for one in looked_up))


def _utilization(slots: Sequence[Slot]) -> float | None:
    """Return the share of the threads' time that was spent on messages.

    A message counts where it finished, so one that is longer than the window may count too much.
    """
    busy_s = sum(slot.busy_s for slot in slots)
    ratio = _ratio(busy_s, sum(slot.threads * slot.covered_s for slot in slots))
    return None if ratio is None else min(ratio, 1.0)


def _work_per_check_ms(window: Window, n_checks: int) -> float | None:
    """Return the cost of a check: the time that threads spent on messages over finished checks."""
    work_s = _ratio(sum(slot.busy_s for slot in window.slots), n_checks)
    return None if work_s is None else work_s * 1e3


def _busy_by_worker(window: Window, roles: list[RunningRole]) -> dict[str, float | None]:
    """Return the utilization of each running worker; None for one without records."""
    slots: dict[str, list[Slot]] = {}
    for process, measured in window.by_worker.items():
        # A process appends a part of its own to the name of its worker.
        slots.setdefault(process.rpartition(":")[0] or process, []).extend(measured)
    workers = [role.name for role in roles if role.role == "worker"]
    return {name: _utilization(slots.get(name, [])) for name in workers}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _merged(window: Window) -> dict[str, LaneCounts]:
    merged = {lane.value: LaneCounts() for lane in Lane}
    for slot in window.slots:
        for lane, work in slot.lanes.items():
            merged.setdefault(lane, LaneCounts()).merge(work)
    return merged


def _lane_status(
    lane: Lane,
    backlog: LaneBacklog,
    counts: LaneCounts,
    roles: list[RunningRole],
    n_unanswered: int,
) -> LaneStatus:
    capacity = LANE_CAPACITY[lane]
    return LaneStatus(
        depth=backlog.n_checks,
        depth_bytes=backlog.size_bytes,
        messages=backlog.n_messages,
        oldest_age_s=backlog.oldest_age_s,
        capacity=capacity.checks,
        capacity_bytes=capacity.size_bytes,
        workers=sum(role.serves(lane) for role in roles),
        count=counts.n_checks,
        errors=counts.n_errors,
        unanswered=n_unanswered,
        queued=_times(counts.queued),
        compute=_times(counts.compute),
        total=_times(counts.total),
    )


def _times(durations: Durations) -> Times:
    def ms(seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds * 1e3, 3)

    return Times(
        avg_ms=ms(durations.mean_s),
        p50_ms=ms(durations.percentile_s(50)),
        p95_ms=ms(durations.percentile_s(95)),
        p99_ms=ms(durations.percentile_s(99)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatus:
    """One shard: its worker, None without a running one, and what waits in it."""

    shard: int
    worker: str | None
    messages: int
    oldest_age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneShards:
    """The shards of a lane.

    `imbalance`: the largest share of the leases over the mean share; None without leases.
    `orphaned`: shards that no running worker leases; their blocks wait until another worker helps.
    """

    workers: dict[str, int]
    imbalance: float | None
    orphaned: list[int]
    shards: list[ShardStatus]


def read_shards(client: redis.Redis) -> dict[str, LaneShards]:
    """Return the sharded lanes; empty without shards. Raises `TransportError`."""
    return shards_of(client, read_backlog(client))


def shards_of(client: redis.Redis, backlog: Backlog) -> dict[str, LaneShards]:
    """Return the sharded lanes of `backlog`, which was read from the server of `client`."""
    return {
        lane.value: _lane_shards(client, lane, backlog.lanes[lane].shards)
        for lane in SHARDED_LANES
        if backlog.lanes[lane].shards
    }


def _lane_shards(client: redis.Redis, lane: Lane, waiting: tuple[Waiting, ...]) -> LaneShards:
    leases = ShardStore(client).leases(lane)
    with transport_errors(client):
        oldest_ms = (server_s(client.time()) - SHARD_LEASE_TTL_S) * 1e3
        living: Any = client.zrangebyscore(shard_workers_key(lane), oldest_ms, "+inf")
    workers = dict.fromkeys(sorted(text(name) for name in living), 0)
    shards = []
    for shard, (n_messages, age_s) in enumerate(waiting):
        worker = leases.get(shard)
        if worker in workers:
            workers[worker] += 1
        else:
            worker = None
        shards.append(
            ShardStatus(shard=shard, worker=worker, messages=n_messages, oldest_age_s=age_s)
        )
    n_leased = sum(workers.values())
    return LaneShards(
        workers=workers,
        imbalance=max(workers.values()) * len(workers) / n_leased if n_leased else None,
        orphaned=[one.shard for one in shards if one.worker is None],
        shards=shards,
    )
