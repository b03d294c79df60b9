"""The operations on a block, each one call to the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import redis

from risk_tasks import scripts
from risk_tasks.broker.envelope import envelope
from risk_tasks.connection import Store, text
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
from risk_tasks.model.report import Stamp
from risk_tasks.queues import FETCH_GRACE_S, LANE_CAPACITY, MAX_REQUEUES, OVERDUE_GRACE_S, Lane

#: up to this size, copying data through Lua is cheaper than a separate command
SMALL_BYTES = 16 << 10


class IfMissing(StrEnum):
    """What happens to a block whose limit set is not published."""

    #: it is checked without limits, because the caller named no limit set
    NONE = "none"
    #: it is refused
    REFUSE = "refuse"
    #: each of its checks is answered with an error
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class StampRequest:
    """The market and the limit set of a block, by name or by id; an empty text is unset."""

    market: str
    limits: str
    if_missing: IfMissing = IfMissing.NONE


@dataclass(frozen=True, slots=True)
class StartedBlock:
    """A block that a worker computes."""

    payload: bytes
    stamp: Stamp
    queued_ms: float
    #: seconds to its deadline
    left_s: float
    lane: str
    n_checks: int
    keeps_answer: bool


class Swept(NamedTuple):
    """The numbers of overdue blocks, gone clients and unread results that were removed."""

    blocks: int
    clients: int
    results: int


class Reaped(NamedTuple):
    """The numbers of blocks that were requeued, expired, and made dead letters."""

    requeued: int
    expired: int
    dead_lettered: int


class _Script(scripts.Script):
    """A script of `lua/blocks.lua`, called alone or with a command that moves a large payload.

    Lua copies what passes through it twice. For the payload of a large block that costs more than
    the rest of the script.
    """

    def __init__(self, client: redis.Redis, name: str, *, acknowledged: bool = False) -> None:
        super().__init__(
            *(client, "risk_tasks.broker", "blocks", name),
            after=("common",),
            acknowledged=acknowledged,
        )

    def with_data(
        self, data: bytes, write: scripts.Command, keys: Sequence[str], args: Sequence[Any]
    ) -> Any:
        """Call the script with `data` as its last argument, or after `write` if it is large.

        The command `write` writes `data`; the two are one transaction.
        """
        if len(data) <= SMALL_BYTES:
            return self(keys=keys, args=[*args, data])
        return self.run_all([write, self.command(keys, args)], transaction=True)[1]


class BlockBroker(Store):
    """The operations over one connection pool; safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        #: the number of shards, as the last call of `enqueue` returned it
        self.n_shards = 1
        self._enqueue = _Script(client, "enqueue", acknowledged=True)
        # An answer need not wait: `reap` requeues a block whose answer a failover has lost.
        self._start, self._finish, self._sweep, self._reap = (
            _Script(client, name) for name in ("start", "finish", "sweep", "reap")
        )

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
        """Add a block to its lane and return its stamp.

        `summary` is shown by Flower and in logs. Without `keeps_answer` no result is stored. A
        block without a `shard`, or with one that does not exist, goes to the queue of its lane.

        Raises `QueueFullError`, `QuotaExceededError` or `UnknownLimitSetError`, and then stores
        nothing; after a `TransportError` repeat it with the same `block_id`.
        """
        capacity = LANE_CAPACITY[lane]
        outcome, *rest = self._enqueue.with_data(
            payload,
            ("SET", payload_key(block_id), payload),
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
                "" if keeps_answer else "ignore_result",
                "" if shard is None else shard,
            ],
        )
        match text(outcome):
            case "full":
                raise _full(lane, text(rest[0]), *(int(number) for number in rest[1:]))
            case "over_quota":
                raise QuotaExceededError(
                    f"The quota of {quota_name!r} is {int(rest[0]):,} critical checks per second.",
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
        """Start a block; None if it was answered, has expired or was swept."""
        start = self._start.command([block_key(block_id)], [block_id, worker, RESULT_TTL_S])
        (outcome, *rest), payload = self._start.run_all(
            [start, ("GET", payload_key(block_id))], transaction=False
        )
        if outcome != b"started" or payload is None:
            return None
        market_id, limits_version, queued_ms, left_ms, lane, n_checks, ignores_result = rest
        return StartedBlock(
            payload,
            Stamp(text(market_id), text(limits_version)),
            queued_ms=float(queued_ms),
            left_s=float(left_ms) / 1e3,
            lane=text(lane),
            n_checks=int(n_checks),
            keeps_answer=not int(ignores_result),
        )

    def finish(self, block_id: str, answer: bytes) -> float | None:
        """Store `answer` and send its id to the client; returns the ms since `enqueue`.

        None if the block has an answer already; that answer is kept. For a block without
        `keeps_answer` nothing is stored.
        """
        total_ms = self._finish.with_data(
            answer,
            ("SET", answer_key(block_id), answer, "EX", RESULT_TTL_S),
            keys=[block_key(block_id), answer_key(block_id), result_key(block_id)],
            args=[block_id, RESULT_TTL_S],
        )
        return None if total_ms is None else float(total_ms)

    def sweep(self, *, grace_s: float = OVERDUE_GRACE_S, gone_s: float = CLIENT_GONE_S) -> Swept:
        """Remove up to 100 overdue blocks, and the replies of up to 100 clients that are gone."""
        counts = self._sweep(args=[int(grace_s * 1e3), int(gone_s * 1e3), RESULT_TTL_S])
        return Swept(*(int(count) for count in counts))

    def reap(self, *, fetch_grace_s: float = FETCH_GRACE_S) -> Reaped:
        """Requeue, expire or dead-letter lost blocks: 100 per dead worker, 200 per queue.

        A block is lost if its worker died, or if no worker started it within `fetch_grace_s` after
        it was fetched. After a restart or a failover of the server each block that a worker has
        started is requeued once: its answer may have been lost.
        """
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
        return Reaped(*(int(count) for count in counts))


def _full(lane: Lane, unit: str, depth: int, capacity: int, retry_ms: int) -> QueueFullError:
    return QueueFullError(
        f"The {lane.value} lane holds {depth:,} {unit} of {capacity:,}.",
        depth=depth,
        capacity=capacity,
        retry_after_s=retry_ms / 1e3,
    )
