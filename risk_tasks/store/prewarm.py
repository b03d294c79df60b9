"""How prewarming stands: the last run, what is left of it, and what is warm since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import (
    DEFAULT_NAME,
    PREWARM_KEY,
    PREWARM_LEFT_KEY,
    PREWARM_SLOT_KEY,
    PREWARM_TTL_S,
    PREWARM_WARM_KEY,
    PREWARM_WORK_KEY,
    PREWARM_WORK_TTL_S,
)


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
