"""Expiring what nobody waits for any more."""

from __future__ import annotations

from dataclasses import dataclass

from risk_tasks.broker.blocks import BlockBroker

#: a sweep ends here and leaves the rest to the next one
_MAX_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Swept:
    """How much one sweep removed."""

    blocks: int
    clients: int
    results: int


def sweep(broker: BlockBroker) -> Swept:
    """Remove blocks long past their deadline, and the answers of clients that are gone.

    Works in small rounds, so that the server is never held for long.
    """
    blocks = clients = results = 0
    for _ in range(_MAX_ROUNDS):
        found = broker.sweep()
        blocks, clients, results = blocks + found[0], clients + found[1], results + found[2]
        if found[0] == 0 and found[1] == 0:
            break
    return Swept(blocks, clients, results)
