"""The tier on a server, for the whole fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import redis

from risk_tasks.cache.counters import CacheCounters
from risk_tasks.cache.entry import FORMAT_VERSION, Entry, decode_entry, encode_entry
from risk_tasks.cache.scripts import parts, script
from risk_tasks.cache.server import CacheServer, ServerClock
from risk_tasks.cache.tier import Found


class SharedTier:
    """One MGET reads a block, one script writes it; the server removes what has expired."""

    def __init__(
        self,
        server: CacheServer,
        prefix: bytes,
        counters: CacheCounters,
        *,
        clock: ServerClock | None = None,
    ) -> None:
        self._server = server
        # Two versions of the code may run at once: neither takes the other's entries for damaged.
        self._prefix = b"%b%d:" % (prefix, FORMAT_VERSION)
        self._counters = counters
        self._clock = clock or ServerClock()

    def name(self, key: bytes) -> bytes:
        """Return the name that the entry of `key` has on the server."""
        return self._prefix + key

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, in order, None where there is none; counted."""
        found = self.look_up(keys)
        self._counters.tally("shared", found)
        return [each.value if each is not None else None for each in found]

    def look_up(self, keys: Sequence[bytes]) -> list[Found | None]:
        """Return what is held of each key, in order, in one round trip; not counted."""
        if not keys:
            return []
        names = [self._prefix + key for key in keys]
        held = self._server.ask(lambda client: self._read(client, names))
        now_ms = self._clock.now_ms()
        if held is None or now_ms is None:
            return [None] * len(keys)
        found: list[Found | None] = []
        corrupt = []
        read_bytes = 0
        for key, data in zip(keys, held, strict=True):
            entry = decode_entry(key, data) if data is not None else None
            if entry is None:
                found.append(None)
                if data is not None:
                    corrupt.append(self._prefix + key)
                continue
            ttl_s = (entry.expires_ms - now_ms) / 1_000
            found.append(Found(entry.value, ttl_s, entry.cost_s) if ttl_s > 0 else None)
            read_bytes += len(entry.value)
        if read_bytes:
            self._counters.add(read_bytes=read_bytes)
        if corrupt:
            self._counters.add(corrupt=len(corrupt))
            self._server.ask(lambda client: client.unlink(*corrupt))
        return found

    def set_many(
        self, entries: Mapping[bytes, bytes], ttl_s: float, *, cost_s: float = 0.0
    ) -> None:
        """Write `entries`, a few hundred a round trip; now and then one more, for the time."""
        if entries:
            self._server.ask(lambda client: self._write(client, entries, ttl_s, cost_s))

    def _read(self, client: redis.Redis, names: Sequence[bytes]) -> list[bytes | None]:
        if not self._clock.is_due():
            return cast("list[bytes | None]", client.mget(names))
        with client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.mget(names)
            now, held = pipe.execute()
        self._clock.learn(now)
        return cast("list[bytes | None]", held)

    def _write(
        self, client: redis.Redis, entries: Mapping[bytes, bytes], ttl_s: float, cost_s: float
    ) -> None:
        if self._clock.is_due():
            self._clock.learn(client.time())
        ttl_ms = max(1, round(ttl_s * 1_000))
        expires_ms = cast("int", self._clock.now_ms()) + ttl_ms
        for part in parts(list(entries.items())):
            data = [encode_entry(key, Entry(value, expires_ms, cost_s)) for key, value in part]
            script(client, "keep")(
                keys=[self._prefix + key for key, _ in part], args=[ttl_ms, *data]
            )
        self._counters.add(written_bytes=sum(map(len, entries.values())))
