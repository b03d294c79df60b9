"""What may be done to a block, each in one call to the server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import redis

from risk_tasks.broker.envelope import envelope
from risk_tasks.broker.scripts import Script
from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import QueueFullError, QuotaExceededError, UnknownLimitSetError
from risk_tasks.keys import (
    CLIENT_GONE_S,
    MAX_DEAD,
    MAX_DEAD_BYTES,
    RESULT_TTL_S,
    answer_key,
    block_key,
    lane_key,
    payload_key,
    result_key,
)
from risk_tasks.model.stamp import Stamp
from risk_tasks.queues import FETCH_GRACE_S, LANE_CAPACITY, MAX_REQUEUES, OVERDUE_GRACE_S, Lane


class IfMissing(StrEnum):
    """What becomes of a block whose limit set is not published."""

    #: there are no limits, as where nobody named any
    NONE = "none"
    #: the block is refused
    REFUSE = "refuse"
    #: each of its checks is answered with an error
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class StampRequest:
    """Which versions a block wants, by name or by id; an empty text is none."""

    market: str
    limits: str
    if_missing: IfMissing = IfMissing.NONE


@dataclass(frozen=True, slots=True)
class StartedBlock:
    """A block in the hands of a worker."""

    payload: bytes
    stamp: Stamp
    queued_ms: float
    #: seconds to its deadline
    left_s: float
    lane: str
    n_checks: int
    #: whether anything is kept of the answer
    is_kept: bool


class Swept(NamedTuple):
    """How much was removed of what nobody waits for."""

    blocks: int
    clients: int
    results: int


@dataclass(frozen=True, slots=True)
class ReapedBlocks:
    """How many blocks one look at the ledger put back, expired and buried."""

    put_back: int
    expired: int
    buried: int


class BlockBroker:
    """The scripts over one connection pool; safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        #: into how many shards the lanes are cut, as the last block that was accepted was told
        self.n_shards = 1
        self._enqueue = Script(client, "enqueue")
        self._start = Script(client, "start")
        self._finish = Script(client, "finish")
        self._sweep = Script(client, "sweep")
        self._reap = Script(client, "reap")

    def enqueue(
        self,
        block_id: str,
        payload: bytes,
        *,
        client_id: str,
        lane: Lane,
        n_checks: int,
        timeout_s: float,
        stamp: StampRequest,
        quota_name: str = "",
        summary: str = "",
        keeps_answer: bool = True,
        shard: int | None = None,
    ) -> Stamp:
        """Put a block on its lane and return the stamp that it was accepted under.

        `summary` is what those who watch are shown of it. Without `keeps_answer` nothing is kept of
        its answer, nor of what it ends in otherwise. One without a `shard`, or of a shard that
        there is not, any worker of its lane takes.

        Raises `QueueFullError`, `QuotaExceededError`, `UnknownLimitSetError` or `TransportError`;
        then nothing of the block is kept.
        """
        capacity = LANE_CAPACITY[lane]
        with transport_errors(self._client):
            outcome, *rest = self._enqueue.carrying(
                payload,
                *("SET", payload_key(block_id), payload),
                keys=[block_key(block_id), lane_key(lane), payload_key(block_id)],
                args=[
                    block_id,
                    client_id,
                    envelope(block_id, lane, summary),
                    lane.value,
                    n_checks,
                    capacity.checks,
                    capacity.size_bytes,
                    int(timeout_s * 1e3),
                    stamp.market,
                    stamp.limits,
                    stamp.if_missing.value,
                    quota_name if lane is Lane.CRITICAL else "",
                    "" if keeps_answer else "unkept",
                    "" if shard is None else shard,
                ],
            )
        match text(outcome):
            case "full":
                raise _full(lane, text(rest[0]), *(int(number) for number in rest[1:]))
            case "over_quota":
                raise QuotaExceededError(
                    f"{quota_name!r} may send {int(rest[0]):,} critical checks a second.",
                    checks_per_s=int(rest[0]),
                    retry_after_s=int(rest[1]) / 1e3,
                )
            case "unknown_limit_set":
                raise UnknownLimitSetError(
                    f"No limit set {stamp.limits!r} is published.", field="limits"
                )
        self.n_shards = int(rest[2])
        return Stamp(text(rest[0]), text(rest[1]))

    def start(self, block_id: str, *, worker: str) -> StartedBlock | None:
        """Fetch a block to work on; None where it is answered, expired or swept."""
        with transport_errors(self._client):
            (outcome, *rest), payload = self._start.before(
                *("GET", payload_key(block_id)),
                keys=[block_key(block_id)],
                args=[block_id, worker, RESULT_TTL_S],
            )
        if outcome != b"started" or payload is None:
            return None
        market_id, limits_version, queued_ms, left_ms, lane, n_checks, unkept = rest
        return StartedBlock(
            payload,
            Stamp(text(market_id), text(limits_version)),
            queued_ms=float(queued_ms),
            left_s=float(left_ms) / 1e3,
            lane=text(lane),
            n_checks=int(n_checks),
            is_kept=not int(unkept),
        )

    def finish(self, block_id: str, answer: bytes) -> float | None:
        """Store `answer` and wake the caller; returns the ms since the block was accepted.

        None where another answer came first: that one is kept. Of a block that keeps none, `answer`
        is not looked at.
        """
        with transport_errors(self._client):
            total_ms = self._finish.carrying(
                answer,
                *("SET", answer_key(block_id), answer, "EX", RESULT_TTL_S),
                keys=[block_key(block_id), answer_key(block_id), result_key(block_id)],
                args=[block_id, RESULT_TTL_S],
            )
        return None if total_ms is None else float(total_ms)

    def sweep(self, *, grace_s: float = OVERDUE_GRACE_S, gone_s: float = CLIENT_GONE_S) -> Swept:
        """Remove up to 100 abandoned blocks and the replies of up to 100 clients that are gone."""
        with transport_errors(self._client):
            counts = self._sweep(args=[int(grace_s * 1e3), int(gone_s * 1e3), RESULT_TTL_S])
        return Swept(*(int(count) for count in counts))

    def reap(self, *, fetch_grace_s: float = FETCH_GRACE_S) -> ReapedBlocks:
        """Put back, expire or bury what is overdue; at most 100 a dead worker, 200 a lane."""
        with transport_errors(self._client):
            counts = self._reap(
                args=[
                    int(fetch_grace_s * 1e3),
                    MAX_REQUEUES,
                    RESULT_TTL_S,
                    MAX_DEAD,
                    MAX_DEAD_BYTES,
                    *(lane.value for lane in Lane),
                ]
            )
        return ReapedBlocks(*(int(count) for count in counts))


def _full(lane: Lane, what: str, depth: int, size: int, retry_ms: int) -> QueueFullError:
    return QueueFullError(
        f"The {lane.value} lane holds {depth:,} {what} of {size:,}.",
        depth=depth,
        capacity=size,
        retry_after_s=retry_ms / 1e3,
    )
