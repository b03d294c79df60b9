"""What workers measured, in slots of some seconds by the server's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import DecodeError
from risk_tasks.histograms import DurationsDocument
from risk_tasks.keys import SLOT_S, SLOTS_KEPT_S, SLOTS_KEY, slot_key, unanswered_key


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
