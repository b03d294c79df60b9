"""What stands on the server at one moment: depths, ages, counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.lanes import (
    COUNTERS_KEY,
    DEAD_KEY,
    LEDGER_KEY,
    OVERDUE_GRACE_S,
    Priority,
    lane_key,
    waiting_key,
)


@dataclass(frozen=True, slots=True)
class LaneBacklog:
    """What a lane holds: checks and bytes that wait or run, messages that wait.

    `oldest_age_s`: how long the oldest block that nobody has started waits; None where none does.
    """

    n_checks: int
    size_bytes: int
    n_messages: int
    oldest_age_s: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Lanes, ledger and dead letters as they stand, and `risk:counters` by name."""

    lanes: dict[Priority, LaneBacklog]
    n_blocks: int
    n_overdue: int
    n_dead: int
    counters: dict[str, int]


def read_backlog(client: redis.Redis) -> Backlog:
    """Return what stands on the server, by its own clock."""
    with transport_errors(client):
        seconds, micros = client.time()
        now_ms = seconds * 1e3 + micros / 1e3
        with client.pipeline(transaction=False) as pipe:
            for lane in Priority:
                pipe.hmget(lane_key(lane), "checks", "bytes")
                pipe.llen(lane.queue)
                pipe.zrange(waiting_key(lane), 0, 0, withscores=True)
            pipe.zcard(LEDGER_KEY)
            pipe.zcount(LEDGER_KEY, "-inf", now_ms - OVERDUE_GRACE_S * 1e3)
            pipe.zcard(DEAD_KEY)
            pipe.hgetall(COUNTERS_KEY)
            *lanes, n_blocks, n_overdue, n_dead, counters = pipe.execute()
    return Backlog(
        lanes={
            lane: _lane_backlog(lanes[3 * place : 3 * place + 3], now_ms)
            for place, lane in enumerate(Priority)
        },
        n_blocks=n_blocks,
        n_overdue=n_overdue,
        n_dead=n_dead,
        counters={text(name): int(count) for name, count in counters.items()},
    )


def _lane_backlog(answers: Sequence[Any], now_ms: float) -> LaneBacklog:
    (n_checks, size_bytes), n_messages, oldest = answers
    age_s = max(now_ms - float(oldest[0][1]), 0.0) / 1e3 if oldest else None
    return LaneBacklog(int(n_checks or 0), int(size_bytes or 0), int(n_messages), age_s)
