"""How the shards of a running system are leased, and what waits in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import SHARD_LEASE_TTL_S, shard_workers_key
from risk_tasks.queues import SHARDED_LANES, Lane
from risk_tasks.store.shards import ShardStore
from risk_tasks.store.telemetry import Waiting, read_backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatus:
    """One shard: its worker, None where no living one leases it, and what waits in it."""

    shard: int
    worker: str | None
    messages: int
    oldest_age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneShards:
    """The shards of a lane.

    `imbalance`: the largest share of the leases by their mean share; None where nobody leases.
    `orphaned`: shards that no living worker leases; their blocks wait until somebody helps.
    """

    workers: dict[str, int]
    imbalance: float | None
    orphaned: list[int]
    shards: list[ShardStatus]


def read_shards(client: redis.Redis) -> dict[str, LaneShards]:
    """Return how the lanes that are cut are leased; none where they are not.

    Raises `TransportError` where the server is away.
    """
    backlog = read_backlog(client)
    return {
        lane.value: _lane_shards(client, lane, backlog.lanes[lane].shards)
        for lane in SHARDED_LANES
        if backlog.lanes[lane].shards
    }


def _lane_shards(client: redis.Redis, lane: Lane, waiting: tuple[Waiting, ...]) -> LaneShards:
    leases = ShardStore(client).leases(lane)
    with transport_errors(client):
        seconds, micros = client.time()
        oldest_ms = seconds * 1e3 + micros / 1e3 - SHARD_LEASE_TTL_S * 1e3
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
