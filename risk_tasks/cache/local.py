"""The tier in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cachetools import TLRUCache

from risk_tasks.cache.counters import CacheCounters
from risk_tasks.cache.tier import Found

#: what an entry takes beside its key and its value: the objects that hold it, 480 as measured
ENTRY_OVERHEAD_BYTES = 500


class _Held(NamedTuple):
    value: bytes
    cost_s: float
    expires_at_s: float
    size_bytes: int


class LocalTier:
    """Holds at most `capacity_bytes`, and of what has not expired the most recently used."""

    def __init__(
        self,
        capacity_bytes: int,
        counters: CacheCounters,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._held = _CountingCache(capacity_bytes, clock)
        self._capacity_bytes = capacity_bytes
        self._lock = threading.Lock()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, in order, None where there is none; counted."""
        held = self._get(keys)
        self._counters.tally("local", held)
        return [each.value if each is not None else None for each in held]

    def look_up(self, keys: Sequence[bytes]) -> list[Found | None]:
        """Return what is held of each key, in order; not counted."""
        now = self._clock()
        return [
            Found(each.value, each.expires_at_s - now, each.cost_s) if each is not None else None
            for each in self._get(keys)
        ]

    def _get(self, keys: Sequence[bytes]) -> list[_Held | None]:
        with self._lock:
            get = self._held.find
            return [get(key) for key in keys]

    def set_many(
        self, entries: Mapping[bytes, bytes], ttl_s: float, *, cost_s: float = 0.0
    ) -> None:
        """Keep `entries` for `ttl_s` seconds; one that is larger than the tier is not kept."""
        self.keep({key: Found(value, ttl_s, cost_s) for key, value in entries.items()})

    def keep(self, entries: Mapping[bytes, Found]) -> None:
        """Keep each of `entries` for what is left of its own life."""
        now = self._clock()
        with self._lock:
            evictions_before = self._held.n_evictions
            for key, found in entries.items():
                size_bytes = len(key) + len(found.value) + ENTRY_OVERHEAD_BYTES
                if size_bytes > self._capacity_bytes:
                    self._held.pop(key, None)
                    continue
                self._held[key] = _Held(found.value, found.cost_s, now + found.ttl_s, size_bytes)
            evictions = self._held.n_evictions - evictions_before
        if evictions:
            self._counters.add(local_evictions=evictions)

    @property
    def size_bytes(self) -> int:
        """What the tier holds at the moment."""
        with self._lock:
            self._held.expire()
            return int(self._held.currsize)


class _CountingCache(TLRUCache[bytes, _Held]):
    """Counts what goes before its time."""

    def __init__(self, capacity_bytes: int, clock: Callable[[], float]) -> None:
        super().__init__(
            capacity_bytes,
            ttu=lambda _key, held, _now: held.expires_at_s,
            timer=clock,
            getsizeof=lambda held: held.size_bytes,
        )
        self.n_evictions = 0

    def find(self, key: bytes) -> _Held | None:
        """As `get`, which looks twice."""
        try:
            held: _Held = self[key]
        except KeyError:
            return None
        return held

    def popitem(self) -> tuple[bytes, _Held]:
        """Remove the least recently used; called where room is needed."""
        evicted: tuple[bytes, _Held] = super().popitem()
        self.n_evictions += 1
        return evicted
