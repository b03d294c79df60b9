"""Popular requests and the state of prewarming, on the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import msgspec
import redis

from risk_tasks.connection import Store, text
from risk_tasks.keys import (
    DEFAULT_NAME,
    MAX_POPULAR,
    POPULAR_HALF_LIFE_S,
    POPULAR_KEY,
    POPULAR_TTL_S,
    PREWARM_KEY,
    PREWARM_LEFT_KEY,
    PREWARM_SLOT_KEY,
    PREWARM_TTL_S,
    PREWARM_WARM_KEY,
    PREWARM_WORK_KEY,
    PREWARM_WORK_TTL_S,
    popular_key,
)
from risk_tasks.scripts import Script, in_chunks
from risk_tasks.server_clock import server_s

#: requests of one script call, so that it does not block the server for long
_PER_SCRIPT = 500


@dataclass(frozen=True, slots=True)
class Popular:
    """A request: its digest, its decayed count, and the bytes that rebuild it."""

    digest: str
    count: float
    request: bytes


class PopularityStore(Store):
    """Counts of requests, halved every `half_life_s`; keeps the `capacity` highest."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        capacity: int = MAX_POPULAR,
        half_life_s: float = POPULAR_HALF_LIFE_S,
    ) -> None:
        super().__init__(client)
        self._capacity = capacity
        self._half_life_s = half_life_s
        self._add = Script(client, "risk_tasks.store", "prewarm")

    def add(self, counted: Mapping[str, tuple[float, bytes]]) -> None:
        """Add a count above 0 to each digest, and store its request where it is missing."""
        for part in in_chunks(list(counted), _PER_SCRIPT):
            counts = [word for digest in part for word in (digest, counted[digest][0])]
            missing = self._add(
                keys=[POPULAR_KEY],
                args=[self._half_life_s, self._capacity, POPULAR_TTL_S, *counts],
            )
            with self._client.pipeline(transaction=False) as pipe:
                for digest in map(text, missing):
                    pipe.set(popular_key(digest), counted[digest][1], ex=POPULAR_TTL_S)
                pipe.execute()

    def top(self, n: int) -> list[Popular]:
        """Return up to `n` requests, the most popular first."""
        if n <= 0:
            return []
        with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(POPULAR_KEY, 0, n - 1, desc=True, withscores=True)
            time, ranked = pipe.execute()
        scores = {text(digest): score for digest, score in ranked}
        requests = self._client.mget([popular_key(digest) for digest in scores] or [""])
        now = server_s(time) / self._half_life_s
        return [
            Popular(digest, 2 ** (score - now), cast("bytes", request))
            for (digest, score), request in zip(scores.items(), requests, strict=False)
            if request is not None
        ]

    def requests(self, digests: Sequence[str]) -> list[bytes]:
        """Return the requests of `digests` that still exist."""
        found: Any = self._client.mget([popular_key(digest) for digest in digests] or [""])
        return [request for request in found if request is not None]


class PrewarmPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is prewarmed, and how often a run is considered; nothing for `n_requests` = 0."""

    every_s: float = 10.0
    #: how many of the most popular requests
    n_requests: int = 500
    #: a larger relative move of any price makes a new market
    marks_bound: float = 0.005
    market: str = DEFAULT_NAME


@dataclass(frozen=True, slots=True)
class PrewarmRun:
    """Why and when (server clock, s) a run was planned, on which market, for how many requests."""

    reason: str
    at_s: float
    market_id: str
    panel_id: str
    n_requests: int


class PrewarmStore(Store):
    """The state of prewarming that workers share; losing it costs one more run."""

    def now_s(self) -> float:
        """Return the time of the server, in seconds."""
        return server_s(self._client.time())

    def claim_slot(self, slot: int, every_s: float) -> bool:
        """Claim `slot`; False if it or a later one has been claimed already."""
        last = self._client.getset(PREWARM_SLOT_KEY, slot)
        self._client.expire(PREWARM_SLOT_KEY, max(1, round(100 * every_s)))
        return last is None or int(last) < slot

    def last(self) -> PrewarmRun | None:
        """Return the last run; None before the first one."""
        stored = self._client.hgetall(PREWARM_KEY)
        fields = {text(name): text(value) for name, value in stored.items()}
        return msgspec.convert(fields, PrewarmRun, strict=False) if "at_s" in fields else None

    def start(self, run: PrewarmRun, digests: Sequence[str]) -> None:
        """Store `run` as the last one, and `digests`, the most popular first, as its work."""
        with self._client.pipeline(transaction=True) as pipe:
            fields: Any = asdict(run)
            pipe.hset(PREWARM_KEY, mapping=fields)
            pipe.hincrby(PREWARM_KEY, "runs", 1)
            pipe.delete(PREWARM_LEFT_KEY)
            if digests:
                pipe.rpush(PREWARM_LEFT_KEY, *digests)
                pipe.expire(PREWARM_LEFT_KEY, PREWARM_TTL_S)
            pipe.expire(PREWARM_KEY, PREWARM_TTL_S)
            pipe.execute()

    def take(self, n: int) -> list[str]:
        """Take up to `n` digests of the remaining work."""
        taken: Any = self._client.lpop(PREWARM_LEFT_KEY, n)
        return list(map(text, taken or []))

    def remaining(self, n: int = 0) -> list[str]:
        """Return the first `n` digests of the remaining work, or all of them for 0."""
        return list(map(text, self._client.lrange(PREWARM_LEFT_KEY, 0, n - 1)))

    def lock(self) -> bool:
        """Return whether the caller has got the lock of the worker that works through a run."""
        return bool(self._client.set(PREWARM_WORK_KEY, 1, nx=True, ex=PREWARM_WORK_TTL_S))

    def renew_lock(self) -> None:
        self._client.set(PREWARM_WORK_KEY, 1, ex=PREWARM_WORK_TTL_S)

    def unlock(self) -> None:
        self._client.delete(PREWARM_WORK_KEY)

    def record(self, digests: Sequence[str], now_s: float, spent_s: float, ttl_s: float) -> None:
        """Record that `digests` were computed at `now_s` in `spent_s`, and live for `ttl_s`."""
        with self._client.pipeline(transaction=True) as pipe:
            if digests:
                pipe.zadd(PREWARM_WARM_KEY, dict.fromkeys(digests, now_s))
            pipe.zremrangebyscore(PREWARM_WARM_KEY, "-inf", now_s - ttl_s)
            pipe.expire(PREWARM_WARM_KEY, PREWARM_TTL_S)
            pipe.hincrby(PREWARM_KEY, "warmed", len(digests))
            pipe.hincrbyfloat(PREWARM_KEY, "spent_s", spent_s)
            pipe.execute()

    def warm_since(self) -> dict[str, float]:
        """Return when each digest was computed last, by the server's clock in seconds."""
        stored: Any = self._client.zrange(PREWARM_WARM_KEY, 0, -1, withscores=True)
        return {text(digest): score for digest, score in stored}

    def totals(self) -> tuple[int, int, float]:
        """Return the number of runs, the number of requests computed, and the seconds spent."""
        runs, warmed, spent = self._client.hmget(PREWARM_KEY, "runs", "warmed", "spent_s")
        return int(runs or 0), int(warmed or 0), float(spent or 0)
