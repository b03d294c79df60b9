"""Names of tasks, lanes and queues, and the capacities of lanes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_MIB = 1 << 20

CHECK_TASK = "risk.check"
CHECK_BLOCK_TASK = "risk.check_block"
SWEEP_TASK = "risk.sweep"
PREWARM_TASK = "risk.prewarm"
LIMIT_BREACH_TASK = "risk.limit_breach"
CRITICAL_EVENT_TASK = "risk.critical_event"
POSITION_CHANGE_TASK = "risk.position_change"
PORTFOLIO_UPDATE_TASK = "risk.portfolio_update"


class Lane(StrEnum):
    """The lanes, most urgent first; workers serve them strictly in this order."""

    CRITICAL = "critical"
    NORMAL = "normal"
    BATCH = "batch"

    @property
    def queue(self) -> str:
        return f"risk.{self.value}"


@dataclass(frozen=True, slots=True)
class LaneCapacity:
    """How much may wait or run in a lane before it refuses more."""

    checks: int
    size_bytes: int


LANE_CAPACITY = {
    Lane.CRITICAL: LaneCapacity(100_000, 64 * _MIB),
    Lane.NORMAL: LaneCapacity(500_000, 256 * _MIB),
    Lane.BATCH: LaneCapacity(1_000_000, 512 * _MIB),
}

#: the lane of each kind of message unless the caller names another
LANE_OF_KIND = {
    CHECK_TASK: Lane.NORMAL,
    CHECK_BLOCK_TASK: Lane.NORMAL,
    LIMIT_BREACH_TASK: Lane.CRITICAL,
    CRITICAL_EVENT_TASK: Lane.CRITICAL,
    POSITION_CHANGE_TASK: Lane.BATCH,
    PORTFOLIO_UPDATE_TASK: Lane.BATCH,
    SWEEP_TASK: Lane.NORMAL,
    PREWARM_TASK: Lane.BATCH,
}

#: the tasks of a worker; messages of all others are quarantined
SERVED_TASKS = frozenset(LANE_OF_KIND)

#: tasks of other apps, whose results and callbacks Celery handles
JSON_TASKS = frozenset(
    (CHECK_TASK, CRITICAL_EVENT_TASK, POSITION_CHANGE_TASK, PORTFOLIO_UPDATE_TASK)
)
#: queues with names that start so belong to this package; the settings repeat it
RESERVED_PREFIX = "risk."
#: redeliveries of such a message that is never acknowledged; after that it becomes a dead letter
MAX_REDELIVERIES = 5

#: a critical check that takes longer from submit to result is logged and counted
SLOW_CRITICAL_S = 0.05
#: seconds after its deadline in which a worker may still finish a block
OVERDUE_GRACE_S = 30
#: seconds between fetching and starting a block; after that it is requeued
FETCH_GRACE_S = 2.0
#: a block that was requeued this often becomes a dead letter
MAX_REQUEUES = 3
#: an idle worker also serves shards of others whose oldest block waits longer than this
HELP_AFTER_S = 0.2

#: lanes that may be divided into shards; any free worker serves the critical lane
SHARDED_LANES = (Lane.NORMAL, Lane.BATCH)


def shard_queue(lane: Lane, shard: int) -> str:
    return f"{lane.queue}.{shard}"


def queues_of(lane: Lane, n_shards: int) -> list[str]:
    """Return the queues of a lane: the queue of the lane itself, then one for each shard."""
    if n_shards == 1 or lane not in SHARDED_LANES:
        return [lane.queue]
    return [lane.queue, *(shard_queue(lane, shard) for shard in range(n_shards))]


def lane_of_queue(queue: str) -> str:
    """Return the name of the lane that a queue belongs to."""
    return queue.removeprefix("risk.").partition(".")[0]
