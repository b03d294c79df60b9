"""A worker's consumer: the order in which it fetches from its queues, and how it reconnects."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer
from celery.worker.consumer.tasks import Tasks
from celery.worker.state import maybe_shutdown
from kombu.utils.scheduling import priority_cycle

from risk_tasks.log import log

#: one fetch in this many starts with the last lane, so that a full earlier lane does not stop it
RESERVED_SHARE = 20

#: for each lane, most urgent first: the queues of this worker, and queues of others that are late
Order = Sequence[tuple[Sequence[str], Sequence[str]]]


class LaneCycle(priority_cycle):
    """The queue order of kombu: strictly by lane, except for a share reserved for the last lane.

    Within a lane the worker's own queues come first, and each fetch starts with another of them.
    With `follow`, queues that are not in the order are skipped.
    """

    def __init__(self, it: list[str] | None = None) -> None:
        super().__init__(it)
        self._n_fetches = 0
        self._order: Callable[[], Order] | None = None

    def follow(self, order: Callable[[], Order]) -> None:
        """Call `order` at each fetch for the queues to fetch from."""
        self._order = order

    def consume(self, n: int) -> list[str]:
        """Return the queues of this fetch in order."""
        self._n_fetches += 1
        active: list[str] = super().consume(n)
        lanes = [[queue] for queue in active]
        if self._order is not None:
            lanes = [[*self._rotated(own), *late] for own, late in self._order()]
        if self._n_fetches % RESERVED_SHARE == 0:
            lanes = [*lanes[-1:], *lanes[:-1]]
        known = set(active)
        return [queue for lane in lanes for queue in lane if queue in known]

    def _rotated(self, queues: Sequence[str]) -> Sequence[str]:
        first = self._n_fetches % len(queues)
        return [*queues[first:], *queues[:first]]


def following(order: Callable[[], Order]) -> type[bootsteps.StartStopStep]:
    """Return a boot step that makes a consumer fetch in `order`, also after it has reconnected.

    kombu subscribes to every queue once and reads its cycle at each fetch. A changed order applies
    from the next fetch on, without a change of subscriptions while messages arrive.
    """

    class Follow(bootsteps.StartStopStep):
        requires = (Tasks,)

        def start(self, consumer: Any) -> None:
            consumer.task_consumer.channel._queue_cycle.follow(order)  # noqa: SLF001

    return Follow


#: pause after an error of a server that answers, such as READONLY
_REFUSED_PAUSE_S = 0.5


class QuickConsumer(Consumer):
    """Reconnects within a second; Celery waits 2, 4 and up to 30 s between attempts."""

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        super().on_connection_error_after_connected(exc)
        time.sleep(_REFUSED_PAUSE_S)

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection(
            lambda error, pause_s: log.warning(
                "broker.unreachable", error=str(error), pause_s=pause_s
            ),
            self.app.conf.broker_connection_max_retries,
            interval_start=0.2,
            interval_step=0.2,
            interval_max=1.0,
            callback=maybe_shutdown,
        )
        return super().ensure_connected(conn)
