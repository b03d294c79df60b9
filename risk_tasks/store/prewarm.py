"""What is asked for most, and how computing it beforehand stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import (
    DEFAULT_NAME,
    MAX_POPULAR,
    MAX_POPULAR_BYTES,
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
        self._note = Script(client, "risk_tasks.store", "prewarm")

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


class PrewarmPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept warm, and when it is looked at again; without `n_requests`, nothing is."""

    every_s: float = 10.0
    #: how many of the requests that are asked for most
    n_requests: int = 500
    #: a larger move of any price, as a share of it, is a new market
    marks_bound: float = 0.005
    market: str = DEFAULT_NAME


@dataclass(frozen=True, slots=True)
class PrewarmRun:
    """Why and when (server seconds) requests were planned, on which market, and how many."""

    reason: str
    at_s: float
    market_id: str
    panel_id: str
    n_requests: int


class PrewarmStore:
    """What prewarming workers share; losing it costs a run, nothing else."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def now_s(self) -> float:
        """Return the server's time, by which slots are counted."""
        with transport_errors(self._client):
            seconds, microseconds = self._client.time()
        return float(seconds) + float(microseconds) / 1e6

    def claim(self, slot: int, every_s: float) -> bool:
        """Whether this slot is ours: of several who ask, the first one's."""
        with transport_errors(self._client):
            last = self._client.getset(PREWARM_SLOT_KEY, slot)
            self._client.expire(PREWARM_SLOT_KEY, max(1, round(100 * every_s)))
        return last is None or int(last) < slot

    def last(self) -> PrewarmRun | None:
        """Return the last run, or None where there was none."""
        with transport_errors(self._client):
            held = self._client.hgetall(PREWARM_KEY)
        fields = {text(name): text(value) for name, value in held.items()}
        if "at_s" not in fields:
            return None
        return PrewarmRun(
            fields["reason"],
            float(fields["at_s"]),
            fields["market_id"],
            fields["panel_id"],
            int(fields["n_requests"]),
        )

    def begin(self, run: PrewarmRun, digests: Sequence[str]) -> None:
        """Make `run` the last one, and `digests`, the most wanted first, what is left to do."""
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
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
        """Take up to `n` digests of what is left to do."""
        with transport_errors(self._client):
            taken: Any = self._client.lpop(PREWARM_LEFT_KEY, n)
        return list(map(text, taken or []))

    def left(self, n: int = 0) -> list[str]:
        """Return the first `n` of what is left to do, or all of it."""
        with transport_errors(self._client):
            return list(map(text, self._client.lrange(PREWARM_LEFT_KEY, 0, n - 1)))

    def begin_work(self) -> bool:
        """Whether nobody was working a run off; then the caller is, for some seconds."""
        with transport_errors(self._client):
            return bool(self._client.set(PREWARM_WORK_KEY, 1, nx=True, ex=PREWARM_WORK_TTL_S))

    def keep_at_work(self) -> None:
        with transport_errors(self._client):
            self._client.set(PREWARM_WORK_KEY, 1, ex=PREWARM_WORK_TTL_S)

    def end_work(self) -> None:
        with transport_errors(self._client):
            self._client.delete(PREWARM_WORK_KEY)

    def note(self, digests: Sequence[str], now_s: float, spent_s: float, ttl_s: float) -> None:
        """Say that `digests` are warm since `now_s`, for `ttl_s`, and what that cost."""
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            if digests:
                pipe.zadd(PREWARM_WARM_KEY, dict.fromkeys(digests, now_s))
            pipe.zremrangebyscore(PREWARM_WARM_KEY, "-inf", now_s - ttl_s)
            pipe.expire(PREWARM_WARM_KEY, PREWARM_TTL_S)
            pipe.hincrby(PREWARM_KEY, "warmed", len(digests))
            pipe.hincrbyfloat(PREWARM_KEY, "spent_s", spent_s)
            pipe.execute()

    def warm_since(self) -> dict[str, float]:
        """Return when each digest was warmed last, server seconds."""
        with transport_errors(self._client):
            held: Any = self._client.zrange(PREWARM_WARM_KEY, 0, -1, withscores=True)
        return {text(digest): score for digest, score in held}

    def totals(self) -> tuple[int, int, float]:
        """Return how many runs there were, how many requests they warmed, and the seconds spent."""
        with transport_errors(self._client):
            runs, warmed, spent = self._client.hmget(PREWARM_KEY, "runs", "warmed", "spent_s")
        return int(runs or 0), int(warmed or 0), float(spent or 0)
