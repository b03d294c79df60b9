"""What the caches of the fleet did, added up."""

from __future__ import annotations

from collections.abc import Mapping

import redis

from risk_tasks.connection import transport_errors
from risk_tasks.keys import CACHE_COUNTS_KEY, CACHE_COUNTS_TTL_S, cache_counts_key
from risk_tasks.store.named_hashes import read_named


class CacheCountsStore:
    """Sums by role; those of a role that is gone stand for a day."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def add(self, name: str, counts: Mapping[str, float], state: Mapping[str, str]) -> None:
        """Add `counts` to the sums of role `name`, and say the `state` that it is in now."""
        key = cache_counts_key(name)
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            for field, count in counts.items():
                if count:
                    pipe.hincrbyfloat(key, field, count)
            if state:
                pipe.hset(key, mapping={f"state:{word}": value for word, value in state.items()})
            pipe.expire(key, CACHE_COUNTS_TTL_S)
            pipe.sadd(CACHE_COUNTS_KEY, name)
            pipe.execute()

    def sums(self) -> dict[str, float]:
        """Return the sums of all roles by field."""
        sums: dict[str, float] = {}
        for entry in self._entries().values():
            for field, value in entry.items():
                if not field.startswith("state:"):
                    sums[field] = sums.get(field, 0.0) + float(value)
        return sums

    def states(self) -> dict[str, dict[str, str]]:
        """Return by role what it said last of its state."""
        return {
            name: {
                field.removeprefix("state:"): value
                for field, value in entry.items()
                if field.startswith("state:")
            }
            for name, entry in self._entries().items()
        }

    def _entries(self) -> dict[str, dict[str, str]]:
        with transport_errors(self._client):
            return read_named(self._client, CACHE_COUNTS_KEY, cache_counts_key)
