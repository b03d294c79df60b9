"""Bringing back what faults left behind, one owner at a time."""

from __future__ import annotations

import uuid

import redis
import structlog

from risk_tasks.broker.blocks import BlockBroker, ReapedBlocks
from risk_tasks.connection import transport_errors
from risk_tasks.keys import REAPER_LOCK_KEY, REAPER_LOCK_TTL_S

log = structlog.get_logger("risk_tasks")


class Reaper:
    """Looks at the ledger while it owns the lock, which outlives its owner by seconds.

    Two owners at once would do no harm: what is put back twice is answered once.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._broker = BlockBroker(client)
        self._token = uuid.uuid4().hex.encode()

    def reap(self) -> ReapedBlocks | None:
        """Put back, expire or bury what is overdue; None where another owns the lock."""
        if not self._own():
            return None
        reaped = self._broker.reap()
        if reaped.put_back or reaped.expired or reaped.buried:
            log.warning(
                "blocks.reaped",
                put_back=reaped.put_back,
                expired=reaped.expired,
                buried=reaped.buried,
            )
        return reaped

    def _own(self) -> bool:
        with transport_errors(self._client):
            if self._client.set(
                REAPER_LOCK_KEY, self._token, nx=True, px=REAPER_LOCK_TTL_S * 1_000
            ):
                return True
            if self._client.get(REAPER_LOCK_KEY) != self._token:
                return False
            self._client.pexpire(REAPER_LOCK_KEY, REAPER_LOCK_TTL_S * 1_000)
            return True
