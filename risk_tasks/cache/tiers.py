"""Values by key: in this process, on a server for the whole fleet, and both together.

A tier never raises and may evict at any time. For a key it returns the value that was set last, or
None. All tiers are safe to share between threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import redis
from cachetools import TLRUCache

from risk_tasks.cache.counters import CacheCounters
from risk_tasks.cache.entry import FORMAT_VERSION, Entry, decode_entry, encode_entry
from risk_tasks.cache.server import CacheServer
from risk_tasks.scripts import Script, in_chunks
from risk_tasks.server_clock import ServerClock

#: memory of an entry beside its key and its value: the objects that hold it, measured as 480
ENTRY_OVERHEAD_BYTES = 500
#: keys of one script call, so that it does not block the server for long
KEYS_PER_SCRIPT = 500


class CachedValue(NamedTuple):
    """A value, the seconds that it has left to live, and the seconds that computing it took."""

    value: bytes
    ttl_s: float
    cost_s: float = 0.0


class LocalTier:
    """Holds at most `capacity_bytes`; evicts expired entries, then the least recently used ones."""

    def __init__(
        self,
        capacity_bytes: int,
        counters: CacheCounters,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._held = _Held(capacity_bytes, clock)
        self._lock = threading.Lock()

    def get_many(self, keys: Sequence[bytes]) -> list[CachedValue | None]:
        """Return what is held of each key, in order."""
        now_s = self._clock()
        with self._lock:
            held = [self._held[key] for key in keys]
        return [
            CachedValue(one.value, one.expires_at_s - now_s, one.cost_s) if one else None
            for one in held
        ]

    def set_many(self, values: Mapping[bytes, CachedValue]) -> None:
        """Keep `values`; one that is larger than the tier is not kept."""
        now_s = self._clock()
        with self._lock:
            evictions_before = self._held.n_evictions
            for key, (value, ttl_s, cost_s) in values.items():
                size_bytes = len(key) + len(value) + ENTRY_OVERHEAD_BYTES
                if size_bytes > self._held.maxsize:
                    self._held.pop(key, None)
                    continue
                self._held[key] = _HeldValue(value, now_s + ttl_s, cost_s, size_bytes)
            evictions = self._held.n_evictions - evictions_before
        if evictions:
            self._counters.add(local_evictions=evictions)

    @property
    def size_bytes(self) -> int:
        """The bytes that are held now."""
        with self._lock:
            self._held.expire()
            return int(self._held.currsize)


class _HeldValue(NamedTuple):
    value: bytes
    expires_at_s: float
    cost_s: float
    size_bytes: int


class _Held(TLRUCache[bytes, _HeldValue]):
    """Counts evictions, and returns None for a missing key: `get` would look twice."""

    def __init__(self, capacity_bytes: int, clock: Callable[[], float]) -> None:
        super().__init__(
            capacity_bytes,
            ttu=lambda _key, held, _now: held.expires_at_s,
            timer=clock,
            getsizeof=lambda held: held.size_bytes,
        )
        self.n_evictions = 0

    def __missing__(self, key: bytes) -> Any:
        return None

    def popitem(self) -> tuple[bytes, _HeldValue]:
        self.n_evictions += 1
        return super().popitem()


class SharedTier:
    """Reads a block with one MGET and writes it with one script; the server expires entries."""

    def __init__(
        self,
        server: CacheServer,
        prefix: bytes,
        counters: CacheCounters,
        *,
        clock: ServerClock | None = None,
    ) -> None:
        self._server = server
        # Two versions of the code may run at once: neither reads entries of the other as damaged.
        self._prefix = b"%b%d:" % (prefix, FORMAT_VERSION)
        self._counters = counters
        self._clock = clock or ServerClock()

    def name(self, key: bytes) -> bytes:
        """Return the name of the entry of `key` on the server."""
        return self._prefix + key

    def get_many(self, keys: Sequence[bytes]) -> list[CachedValue | None]:
        """Return what is held of each key, in order, in one round trip; delete damaged entries."""
        if not keys:
            return []
        stored = self._server.call(lambda client: self._read(client, [*map(self.name, keys)]))
        now_ms = self._clock.now_ms()
        if stored is None or now_ms is None:
            return [None] * len(keys)
        entries = [
            None if data is None else decode_entry(key, data)
            for key, data in zip(keys, stored, strict=True)
        ]
        corrupt = [
            self.name(key)
            for key, data, entry in zip(keys, stored, entries, strict=True)
            if entry is None and data is not None
        ]
        if corrupt:
            self._server.call(lambda client: client.unlink(*corrupt))
        read_bytes = sum(len(entry.value) for entry in entries if entry)
        self._counters.add(corrupt=len(corrupt), read_bytes=read_bytes)
        return [
            CachedValue(entry.value, (entry.expires_ms - now_ms) / 1_000, entry.cost_s)
            if entry and entry.expires_ms > now_ms
            else None
            for entry in entries
        ]

    def set_many(self, values: Mapping[bytes, CachedValue]) -> None:
        """Write `values`, a few hundred in a round trip; sometimes one more, for the time."""
        if values:
            self._server.call(lambda client: self._write(client, values))

    def _read(self, client: redis.Redis, names: Sequence[bytes]) -> list[bytes | None]:
        if not self._clock.is_due():
            return cast("list[bytes | None]", client.mget(names))
        with client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.mget(names)
            now, stored = pipe.execute()
        self._clock.set(now)
        return cast("list[bytes | None]", stored)

    def _write(self, client: redis.Redis, values: Mapping[bytes, CachedValue]) -> None:
        if self._clock.is_due():
            self._clock.set(client.time())
        now_ms = cast("int", self._clock.now_ms())
        store = Script(client, "risk_tasks.cache", "cache", "store")
        for chunk in in_chunks(list(values.items()), KEYS_PER_SCRIPT):
            args: list[int | bytes] = []
            for key, (value, ttl_s, cost_s) in chunk:
                ttl_ms = max(1, round(ttl_s * 1_000))
                args += [ttl_ms, encode_entry(key, Entry(value, now_ms + ttl_ms, cost_s))]
            store(keys=[self.name(key) for key, _ in chunk], args=args)
        self._counters.add(written_bytes=sum(len(one.value) for one in values.values()))


class TwoTiers:
    """Looks in the local tier first, and keeps there what the shared tier has."""

    def __init__(self, local: LocalTier, shared: SharedTier, counters: CacheCounters) -> None:
        self.local = local
        self.shared = shared
        self.counters = counters

    def get_many(
        self, keys: Sequence[bytes], *, is_counted: bool = True
    ) -> list[CachedValue | None]:
        """Return what is held of each key, in order, and count hits and misses."""
        here = self.local.get_many(keys)
        absent = [key for key, one in zip(keys, here, strict=True) if one is None]
        there = self.shared.get_many(absent)
        found = {key: one for key, one in zip(absent, there, strict=True) if one is not None}
        self.local.set_many(found)
        rest = iter(there)
        values = [one if one is not None else next(rest) for one in here]
        if is_counted:
            n_shared = sum(one is not None for one in there)
            self.counters.add(
                local_hits=len(keys) - len(absent),
                local_misses=len(absent),
                shared_hits=n_shared,
                shared_misses=len(absent) - n_shared,
                saved_s=sum(one.cost_s for one in values if one is not None),
            )
        return values

    def set_many(self, values: Mapping[bytes, CachedValue]) -> None:
        """Keep `values` in both tiers."""
        self.local.set_many(values)
        self.shared.set_many(values)
