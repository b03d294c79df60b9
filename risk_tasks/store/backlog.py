"""What stands on the server at one moment: depths, ages, counters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import COUNTERS_KEY, DEAD_KEY, LEDGER_KEY, SHARDS_KEY, lane_key, waiting_key
from risk_tasks.queues import OVERDUE_GRACE_S, Lane, queues_of


class Waiting(NamedTuple):
    """Messages that wait in one list, and how long the oldest of its blocks has waited."""

    n_messages: int
    oldest_age_s: float | None


@dataclass(frozen=True, slots=True)
class LaneBacklog:
    """What a lane holds: checks and bytes that wait or run, messages that wait.

    `oldest_age_s`: how long the oldest block that nobody has started waits; None where none does.
    `shards`: what waits in each; none where the lane is not cut.
    """

    n_checks: int
    size_bytes: int
    n_messages: int
    oldest_age_s: float | None
    shards: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """Lanes, ledger and dead letters as they stand, and `risk:counters` by name."""

    lanes: dict[Lane, LaneBacklog]
    n_blocks: int
    n_overdue: int
    n_dead: int
    counters: dict[str, int]


def read_backlog(client: redis.Redis) -> Backlog:
    """Return what stands on the server, by its own clock."""
    with transport_errors(client):
        seconds, micros = client.time()
        now_ms = seconds * 1e3 + micros / 1e3
        n_shards = int(client.get(SHARDS_KEY) or 1)
        with client.pipeline(transaction=False) as pipe:
            for lane in Lane:
                pipe.hmget(lane_key(lane), "checks", "bytes")
                for place, queue in enumerate(queues_of(lane, n_shards)):
                    shard = place - 1 if place else None
                    pipe.llen(queue)
                    pipe.zrange(waiting_key(lane, shard), 0, 0, withscores=True)
            pipe.zcard(LEDGER_KEY)
            pipe.zcount(LEDGER_KEY, "-inf", now_ms - OVERDUE_GRACE_S * 1e3)
            pipe.zcard(DEAD_KEY)
            pipe.hgetall(COUNTERS_KEY)
            *lanes, n_blocks, n_overdue, n_dead, counters = pipe.execute()
    answers = iter(lanes)
    return Backlog(
        lanes={
            lane: _lane_backlog(answers, len(queues_of(lane, n_shards)), now_ms) for lane in Lane
        },
        n_blocks=n_blocks,
        n_overdue=n_overdue,
        n_dead=n_dead,
        counters={text(name): int(count) for name, count in counters.items()},
    )


def _lane_backlog(answers: Iterator[Any], n_queues: int, now_ms: float) -> LaneBacklog:
    n_checks, size_bytes = next(answers)
    queues = [_waiting(next(answers), next(answers), now_ms) for _ in range(n_queues)]
    return LaneBacklog(
        int(n_checks or 0),
        int(size_bytes or 0),
        sum(queue.n_messages for queue in queues),
        max((age for _, age in queues if age is not None), default=None),
        tuple(queues[1:]),
    )


def _waiting(n_messages: int, oldest: Sequence[Any], now_ms: float) -> Waiting:
    age_s = max(now_ms - float(oldest[0][1]), 0.0) / 1e3 if oldest else None
    return Waiting(int(n_messages), age_s)
