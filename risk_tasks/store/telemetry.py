"""What workers measured, in slots of some seconds, and what waits on the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import DecodeError
from risk_tasks.histograms import DurationsDocument
from risk_tasks.keys import (
    COUNTERS_KEY,
    DEAD_KEY,
    LEDGER_KEY,
    SHARDS_KEY,
    SLOT_S,
    SLOTS_KEPT_S,
    SLOTS_KEY,
    lane_key,
    slot_key,
    unanswered_key,
    waiting_key,
)
from risk_tasks.queues import OVERDUE_GRACE_S, Lane, queues_of


class LaneWork(msgspec.Struct, frozen=True):
    """What a worker ended of one lane. Times are counted once for each check of a block."""

    n_blocks: int = 0
    n_checks: int = 0
    n_errors: int = 0
    queued: DurationsDocument = DurationsDocument()
    compute: DurationsDocument = DurationsDocument()
    total: DurationsDocument = DurationsDocument()


class LookUps(msgspec.Struct, frozen=True):
    """How often results were looked up, and how often they were found."""

    n: float = 0
    hits: float = 0


class Slot(msgspec.Struct, frozen=True):
    """What a worker did in one slot: `covered_s` is how much of it the worker was there for."""

    threads: int
    covered_s: float
    busy_s: float = 0.0
    lanes: dict[str, LaneWork] = {}
    look_ups: LookUps = LookUps()


@dataclass(frozen=True, slots=True)
class Window:
    """The slots of the last seconds up to `now_s` (server's clock), by the worker that wrote them.

    `unanswered`: checks by lane that ended without an answer, expired or given up.
    """

    now_s: float
    seconds: float
    by_worker: dict[str, list[Slot]]
    unanswered: dict[str, int]

    @property
    def slots(self) -> list[Slot]:
        return [slot for slots in self.by_worker.values() for slot in slots]


class SlotStore:
    """Writes a worker's slots and reads those of all."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def now_s(self) -> float:
        """Return the server's clock."""
        with transport_errors(self._client):
            return _seconds(self._client.time())

    def write(self, number: int, worker: str, slot: Slot, *, is_first: bool = True) -> float:
        """Write a worker's slot in place of what it wrote of it before.

        `is_first`: it wrote nothing of it before; old ones are forgotten then. Returns the server's
        clock.
        """
        entry = f"{number}:{worker}"
        # No transaction: who reads passes over an entry whose slot is not there.
        with transport_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.set(slot_key(entry), msgspec.json.encode(slot), ex=SLOTS_KEPT_S)
            pipe.zadd(SLOTS_KEY, {entry: number})
            if is_first:
                pipe.zremrangebyscore(SLOTS_KEY, "-inf", number - SLOTS_KEPT_S // SLOT_S)
            pipe.time()
            return _seconds(pipe.execute()[-1])

    def read(self, window_s: float) -> Window:
        """Return the slots of at most `window_s`; where the first began later, from there on.

        Raises `DecodeError` for a slot that cannot be read.
        """
        now_s = self.now_s()
        first = slot_number(now_s) - max(int(window_s // SLOT_S), 1) + 1
        numbers = range(first, slot_number(now_s) + 1)
        with transport_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(SLOTS_KEY, first, "+inf", withscores=True)
            for number in numbers:
                pipe.hgetall(unanswered_key(number))
            entries, *unanswered = pipe.execute()
            keys = [slot_key(text(entry)) for entry, _ in entries]
            found: Any = self._client.mget(keys) if keys else []
        begun = [int(number) for _, number in entries] + [
            number for number, lanes in zip(numbers, unanswered, strict=True) if lanes
        ]
        seconds = now_s - min(begun, default=first) * SLOT_S
        by_worker: dict[str, list[Slot]] = {}
        for (entry, _), data in zip(entries, found, strict=True):
            if data is not None:
                worker = text(entry).partition(":")[2]
                by_worker.setdefault(worker, []).append(_decode(data))
        return Window(now_s, max(seconds, 1.0), by_worker, _summed(unanswered))


def slot_number(now_s: float) -> int:
    """Return which slot a moment of the server's clock is in."""
    return int(now_s // SLOT_S)


def _decode(data: bytes) -> Slot:
    try:
        return msgspec.json.decode(data, type=Slot)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"What a worker measured cannot be read: {error}.") from error


def _summed(counts: list[dict[bytes | str, bytes | str]]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for lanes in counts:
        for lane, n in lanes.items():
            summed[text(lane)] = summed.get(text(lane), 0) + int(n)
    return summed


def _seconds(time: Any) -> float:
    seconds, micros = time
    return float(seconds) + float(micros) / 1e6


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
