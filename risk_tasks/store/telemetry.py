"""Measurements of workers, in slots of some seconds, and the backlog of the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import redis

from risk_tasks.connection import Store, text, transport_errors
from risk_tasks.histograms import DurationsDocument
from risk_tasks.keys import (
    COUNTERS_KEY,
    DEAD_KEY,
    LEDGER_KEY,
    LIMIT_MATCHES_TTL_S,
    SHARDS_KEY,
    SLOT_S,
    SLOTS_KEPT_S,
    SLOTS_KEY,
    lane_key,
    limit_matches_key,
    slot_key,
    unanswered_key,
    waiting_key,
)
from risk_tasks.queues import OVERDUE_GRACE_S, Lane, queues_of
from risk_tasks.server_clock import server_s
from risk_tasks.wire.framing import decoding

#: the fields of a hash of counts: the number of checks, and the prefix of ids of limits
_N_CHECKS, _LIMIT = "checks", "limit:"


class LaneWork(msgspec.Struct, frozen=True):
    """Blocks of one lane that a worker finished. Times are counted once for each check."""

    n_blocks: int = 0
    n_checks: int = 0
    n_errors: int = 0
    queued: DurationsDocument = DurationsDocument()
    compute: DurationsDocument = DurationsDocument()
    total: DurationsDocument = DurationsDocument()


class LookUps(msgspec.Struct, frozen=True):
    """Results that were looked up in the cache, and those that were found."""

    n: float = 0
    hits: float = 0


class LimitWork(msgspec.Struct, frozen=True):
    """Checks against a published limit set, and to how many of them each of its limits applies.

    Checks with an error are not counted. A limit that applies to none has 0.
    """

    n_checks: int = 0
    matched: dict[str, int] = {}

    def __add__(self, other: LimitWork) -> LimitWork:
        limits = {**self.matched, **other.matched}
        summed = {one: self.matched.get(one, 0) + other.matched.get(one, 0) for one in limits}
        return LimitWork(self.n_checks + other.n_checks, summed)

    def __sub__(self, before: LimitWork) -> LimitWork:
        rest = {one: n - before.matched.get(one, 0) for one, n in self.matched.items()}
        return LimitWork(self.n_checks - before.n_checks, rest)

    @property
    def unmatched(self) -> list[str]:
        """The limits that apply to none of the checks."""
        return [one for one, n in self.matched.items() if not n] if self.n_checks else []


class Slot(msgspec.Struct, frozen=True):
    """The work of one worker in one slot, `covered_s` of which the worker was running."""

    threads: int
    covered_s: float
    busy_s: float = 0.0
    lanes: dict[str, LaneWork] = {}
    look_ups: LookUps = LookUps()
    #: by version of the published limit set
    limits: dict[str, LimitWork] = {}


@dataclass(frozen=True, slots=True)
class Window:
    """The slots of the last `seconds` before `now_s`, by the server's clock, for each worker.

    `unanswered`: checks by lane that expired or became dead letters.
    """

    now_s: float
    seconds: float
    by_worker: dict[str, list[Slot]]
    unanswered: dict[str, int]

    @property
    def slots(self) -> list[Slot]:
        return [slot for slots in self.by_worker.values() for slot in slots]


class SlotStore(Store):
    """Writes the slots of one worker and reads those of all."""

    def now_s(self) -> float:
        """Return the server's clock."""
        return server_s(self._client.time())

    def write(
        self,
        number: int,
        worker: str,
        slot: Slot,
        new_matches: Mapping[str, LimitWork] | None = None,
        *,
        is_first: bool = True,
    ) -> float:
        """Write or replace the slot of a worker; returns the clock of the server.

        `is_first`: the slot is new. Slots that are too old are removed then. `new_matches` are
        added to the counts of limit sets, by version.
        """
        entry = f"{number}:{worker}"
        # No transaction: `read` skips an entry whose slot is missing.
        with self._client.pipeline(transaction=False) as pipe:
            pipe.set(slot_key(entry), msgspec.json.encode(slot), ex=SLOTS_KEPT_S)
            pipe.zadd(SLOTS_KEY, {entry: number})
            for version, work in (new_matches or {}).items():
                key = limit_matches_key(version)
                pipe.hincrby(key, _N_CHECKS, work.n_checks)
                for limit, n in work.matched.items():
                    pipe.hincrby(key, _LIMIT + limit, n)
                pipe.expire(key, LIMIT_MATCHES_TTL_S)
            if is_first:
                pipe.zremrangebyscore(SLOTS_KEY, "-inf", number - SLOTS_KEPT_S // SLOT_S)
            pipe.time()
            return server_s(pipe.execute()[-1])

    def matches(self, version: str) -> LimitWork:
        """Return the checks against a limit set since it was published."""
        counts = {
            text(name): int(n)
            for name, n in self._client.hgetall(limit_matches_key(version)).items()
        }
        n_checks = counts.pop(_N_CHECKS, 0)
        return LimitWork(n_checks, {name.removeprefix(_LIMIT): n for name, n in counts.items()})

    def read(self, window_s: float) -> Window:
        """Return the slots of the last `window_s`, or since the first slot if that is later.

        Raises `DecodeError` for a slot that cannot be read.
        """
        now_s = self.now_s()
        first = slot_number(now_s) - max(int(window_s // SLOT_S), 1) + 1
        numbers = range(first, slot_number(now_s) + 1)
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(SLOTS_KEY, first, "+inf", withscores=True)
            for number in numbers:
                pipe.hgetall(unanswered_key(number))
            entries, *unanswered = pipe.execute()
            keys = [slot_key(text(entry)) for entry, _ in entries]
            found: Any = self._client.mget(keys) if keys else []
        numbers_found = [int(number) for _, number in entries] + [
            number for number, lanes in zip(numbers, unanswered, strict=True) if lanes
        ]
        seconds = now_s - min(numbers_found, default=first) * SLOT_S
        by_worker: dict[str, list[Slot]] = {}
        with decoding("slot of a worker"):
            for (entry, _), data in zip(entries, found, strict=True):
                if data is not None:
                    worker = text(entry).partition(":")[2]
                    slot = msgspec.json.decode(data, type=Slot)
                    by_worker.setdefault(worker, []).append(slot)
        return Window(now_s, max(seconds, 1.0), by_worker, _summed(unanswered))


def slot_number(now_s: float) -> int:
    """Return the number of the slot at a time of the server's clock."""
    return int(now_s // SLOT_S)


def _summed(counts: list[dict[bytes | str, bytes | str]]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for lanes in counts:
        for lane, n in lanes.items():
            summed[text(lane)] = summed.get(text(lane), 0) + int(n)
    return summed


class Waiting(NamedTuple):
    """Messages that wait in one queue, and the age of its oldest block."""

    n_messages: int
    oldest_age_s: float | None


@dataclass(frozen=True, slots=True)
class LaneBacklog:
    """Checks and bytes of a lane that wait or run, and messages that wait.

    `oldest_age_s`: age of the oldest block that no worker has started, None if all are started.
    `shards`: empty if the lane is not divided into shards.
    """

    n_checks: int
    size_bytes: int
    n_messages: int
    oldest_age_s: float | None
    shards: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """The state of lanes, ledger and dead letters, and the counters by name."""

    lanes: dict[Lane, LaneBacklog]
    n_blocks: int
    n_overdue: int
    n_dead: int
    counters: dict[str, int]


def read_backlog(client: redis.Redis) -> Backlog:
    """Return the current backlog, by the clock of the server."""
    with transport_errors(client):
        now_ms = server_s(client.time()) * 1e3
        n_shards = int(client.get(SHARDS_KEY) or 1)
        with client.pipeline(transaction=False) as pipe:
            for lane in Lane:
                pipe.hmget(lane_key(lane), "checks", "bytes")
                for index, queue in enumerate(queues_of(lane, n_shards)):
                    shard = index - 1 if index else None
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
