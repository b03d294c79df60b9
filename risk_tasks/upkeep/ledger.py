"""Maintenance of the ledger: requeue lost blocks, remove overdue ones."""

from __future__ import annotations

import uuid

import redis

from risk_tasks.broker.blocks import BlockBroker, Reaped, Swept
from risk_tasks.connection import hold_lock
from risk_tasks.keys import REAPER_LOCK_KEY, REAPER_LOCK_TTL_S
from risk_tasks.log import log

#: a sweep stops after this many rounds and leaves the rest to the next one
_MAX_ROUNDS = 50


class Reaper:
    """Reaps the ledger while it holds the lock, which expires some seconds after its holder died.

    Two holders at once do no harm: a block that is requeued twice is answered once.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._broker = BlockBroker(client)
        self._owner = uuid.uuid4().hex

    def reap(self) -> Reaped | None:
        """Requeue, expire or dead-letter lost blocks; None if another reaper holds the lock."""
        if not hold_lock(self._client, REAPER_LOCK_KEY, self._owner, REAPER_LOCK_TTL_S):
            return None
        reaped = self._broker.reap()
        if any(reaped):
            log.warning("blocks.reaped", **reaped._asdict())
        return reaped


def sweep(broker: BlockBroker) -> Swept:
    """Remove blocks long past their deadline, and the results of clients that are gone.

    Works in small rounds, so that it never blocks the server for long.
    """
    rounds: list[Swept] = []
    while len(rounds) < _MAX_ROUNDS and (not rounds or rounds[-1].blocks or rounds[-1].clients):
        rounds.append(broker.sweep())
    return Swept(*(sum(counts) for counts in zip(*rounds, strict=True)))
