"""What is asked for most: decayed counts on the server, for those who compute it beforehand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import (
    MAX_POPULAR,
    MAX_POPULAR_BYTES,
    POPULAR_HALF_LIFE_S,
    POPULAR_KEY,
    POPULAR_TTL_S,
    popular_key,
)
from risk_tasks.scripts import Script

#: what one script adds, so that it does not hold the server for long
_PER_SCRIPT = 500


@dataclass(frozen=True, slots=True)
class Popular:
    """A request, how often it was asked for by decayed count, and the bytes that rebuild it."""

    digest: str
    count: float
    request: bytes


class PopularityStore:
    """Counts of requests, halved every `half_life_s`; the `capacity` highest stand."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        capacity: int = MAX_POPULAR,
        half_life_s: float = POPULAR_HALF_LIFE_S,
    ) -> None:
        self._client = client
        self._capacity = capacity
        self._half_life_s = half_life_s
        self._note = Script(client, "risk_tasks.store", "popularity")

    def add(self, asked: Mapping[str, tuple[float, bytes]]) -> None:
        """Add to each digest its weight, more than 0; a request that is not held is kept."""
        with transport_errors(self._client):
            for part in _parts(list(asked.items())):
                weights = [word for digest, (weight, _) in part for word in (digest, weight)]
                wanted = self._note(
                    keys=[POPULAR_KEY],
                    args=[self._half_life_s, self._capacity, POPULAR_TTL_S, *weights],
                )
                with self._client.pipeline(transaction=False) as pipe:
                    for digest in map(text, wanted):
                        pipe.set(popular_key(digest), asked[digest][1], ex=POPULAR_TTL_S)
                    pipe.execute()

    def top(self, n: int) -> list[Popular]:
        """Return up to `n` requests, those most asked for first."""
        if n <= 0:
            return []
        with transport_errors(self._client):
            with self._client.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.zrange(POPULAR_KEY, 0, n - 1, desc=True, withscores=True)
                (seconds, microseconds), ranked = pipe.execute()
            scores = {text(digest): score for digest, score in ranked}
            requests = self._client.mget([popular_key(digest) for digest in scores] or [""])
        now = (seconds + microseconds / 1e6) / self._half_life_s
        return [
            Popular(digest, 2 ** (score - now), cast("bytes", request))
            for (digest, score), request in zip(scores.items(), requests, strict=False)
            if request is not None
        ]

    def requests(self, digests: Sequence[str]) -> list[bytes]:
        """Return the requests of `digests`, without those that are gone."""
        with transport_errors(self._client):
            held: Any = self._client.mget([popular_key(digest) for digest in digests] or [""])
        return [request for request in held if request is not None]


class Popularity:
    """Gathers what this process is asked for; `flush`, called now and then, sends it.

    Counting makes no call. What a flush could not send is lost: a count less, nothing else.
    """

    def __init__(self, store: PopularityStore, *, capacity: int = MAX_POPULAR) -> None:
        self._store = store
        self._capacity = capacity
        self._asked: dict[str, tuple[float, bytes]] = {}
        self._lock = threading.Lock()

    def note(
        self, weights: Iterable[tuple[str, float]], request_of: Callable[[str], bytes]
    ) -> None:
        """Count requests by digest and weight; `request_of` is asked for those that are new here.

        A request of more than `MAX_POPULAR_BYTES` is not counted, nor are new ones beyond the
        capacity before the next flush.
        """
        with self._lock:
            for digest, weight in weights:
                held = self._asked.get(digest)
                if held is not None:
                    self._asked[digest] = (held[0] + weight, held[1])
                elif len(self._asked) < self._capacity:
                    request = request_of(digest)
                    if len(request) <= MAX_POPULAR_BYTES:
                        self._asked[digest] = (weight, request)

    def flush(self) -> None:
        """Send what was counted since the last flush; raises `TransportError`."""
        with self._lock:
            asked, self._asked = self._asked, {}
        self._store.add(asked)


def _parts(
    items: Sequence[tuple[str, tuple[float, bytes]]],
) -> Iterator[Sequence[tuple[str, tuple[float, bytes]]]]:
    for start in range(0, len(items), _PER_SCRIPT):
        yield items[start : start + _PER_SCRIPT]
