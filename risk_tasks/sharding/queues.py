"""The lists that a lane is cut into. Beside its shards, every worker serves the lane's own."""

from __future__ import annotations

from risk_tasks.lanes import Priority

#: what is critical is not cut: whoever is free serves it
SHARDED_LANES = (Priority.NORMAL, Priority.BATCH)


def shard_queue(lane: Priority, shard: int) -> str:
    return f"{lane.queue}.{shard}"


def queues_of(lane: Priority, n_shards: int) -> list[str]:
    """Return all lists of a lane, its own first; one that is not cut has no other."""
    if n_shards == 1 or lane not in SHARDED_LANES:
        return [lane.queue]
    return [lane.queue, *(shard_queue(lane, shard) for shard in range(n_shards))]


def lane_of_queue(queue: str) -> str:
    """Return the name of the lane that a list is of."""
    return queue.removeprefix("risk.").partition(".")[0]
