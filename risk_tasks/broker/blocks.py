"""What may be done to a block, each in one call to the server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files

import redis

from risk_tasks.broker.envelope import envelope
from risk_tasks.connection import transport_errors
from risk_tasks.errors import QueueFullError, UnknownLimitSetError
from risk_tasks.lanes import (
    CLIENT_GONE_S,
    LANE_CAPACITY,
    OVERDUE_GRACE_S,
    RESULT_TTL_S,
    Priority,
    block_key,
    lane_key,
    result_key,
)

#: how fast a lane is taken to drain where nothing better is known
_CHECKS_PER_S = 100_000


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
    """Which versions a block wants: names that are resolved at enqueue, or ids already stamped.

    An empty text is none.
    """

    market: str
    limits: str
    if_missing: IfMissing = IfMissing.NONE


@dataclass(frozen=True, slots=True)
class StartedBlock:
    """A block in the hands of a worker."""

    payload: bytes
    market_id: str
    limits_version: str
    queued_ms: float


class BlockBroker:
    """The scripts over one connection pool; safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._enqueue = client.register_script(_script("enqueue"))
        self._start = client.register_script(_script("start"))
        self._finish = client.register_script(_script("finish"))
        self._sweep = client.register_script(_script("sweep"))

    def enqueue(
        self,
        block_id: str,
        payload: bytes,
        *,
        client_id: str,
        lane: Priority,
        n_checks: int,
        timeout_s: float,
        stamp: StampRequest,
    ) -> StampRequest:
        """Put a block on its lane and return the stamp that it was accepted under.

        Raises `QueueFullError`, `UnknownLimitSetError` or `TransportError`; then nothing of the
        block is kept.
        """
        capacity = LANE_CAPACITY[lane]
        with transport_errors(self._client):
            outcome, *rest = self._enqueue(
                keys=[lane.queue, block_key(block_id), lane_key(lane)],
                args=[
                    block_id,
                    client_id,
                    payload,
                    envelope(block_id, lane, n_checks),
                    lane.value,
                    n_checks,
                    capacity,
                    int(timeout_s * 1e3),
                    stamp.market,
                    stamp.limits,
                    stamp.if_missing.value,
                ],
            )
        if outcome == b"full":
            depth = int(rest[0])
            raise QueueFullError(
                f"The {lane.value} lane holds {depth} checks of {capacity}.",
                depth=depth,
                capacity=capacity,
                retry_after_s=max(0.1, n_checks / _CHECKS_PER_S),
            )
        if outcome == b"unknown_limit_set":
            raise UnknownLimitSetError(
                f"No limit set {stamp.limits!r} is published.", field="limits"
            )
        return StampRequest(rest[0].decode(), rest[1].decode())

    def start(self, block_id: str, *, worker: str) -> StartedBlock | None:
        """Fetch a block to work on; None where it is answered, expired or swept."""
        with transport_errors(self._client):
            outcome, *rest = self._start(keys=[block_key(block_id)], args=[block_id, worker])
        if outcome != b"started":
            return None
        payload, market_id, limits_version, queued_ms = rest
        return StartedBlock(payload, market_id.decode(), limits_version.decode(), float(queued_ms))

    def finish(self, block_id: str, answer: bytes) -> bool:
        """Store `answer` and wake the caller; False where another answer came first."""
        with transport_errors(self._client):
            return bool(
                self._finish(
                    keys=[block_key(block_id), result_key(block_id)],
                    args=[block_id, answer, RESULT_TTL_S],
                )
            )

    def sweep(
        self, *, grace_s: float = OVERDUE_GRACE_S, gone_s: float = CLIENT_GONE_S
    ) -> tuple[int, int, int]:
        """Remove up to 100 abandoned blocks and the replies of up to 100 clients that are gone.

        Returns how many blocks, clients and results were removed.
        """
        with transport_errors(self._client):
            blocks, clients, results = self._sweep(args=[int(grace_s * 1e3), int(gone_s * 1e3)])
        return int(blocks), int(clients), int(results)


def _script(name: str) -> str:
    folder = files("risk_tasks.broker") / "lua"
    return (folder / "settle.lua").read_text() + (folder / f"{name}.lua").read_text()
