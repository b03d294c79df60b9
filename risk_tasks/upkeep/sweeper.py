"""Expiring what nobody waits for any more."""

from __future__ import annotations

from risk_tasks.broker.blocks import BlockBroker, Swept

#: a sweep ends here and leaves the rest to the next one
_MAX_ROUNDS = 50


def sweep(broker: BlockBroker) -> Swept:
    """Remove blocks long past their deadline, and the answers of clients that are gone.

    Works in small rounds, so that the server is never held for long.
    """
    rounds: list[Swept] = []
    while len(rounds) < _MAX_ROUNDS and (not rounds or rounds[-1].blocks or rounds[-1].clients):
        rounds.append(broker.sweep())
    return Swept(*(sum(counts) for counts in zip(*rounds, strict=True)))
