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


def with_channel(
    on_channel: Callable[[Any], None], each_second: Callable[[], None]
) -> type[bootsteps.StartStopStep]:
    """Return a boot step that calls `on_channel` with the channel of each new connection.

    `on_channel` may set the order of the channel's queue cycle. kombu subscribes to every queue
    once and reads the cycle at each fetch, so a new order needs no change of subscriptions while
    messages arrive. The event loop calls `each_second`.
    """

    class WithChannel(bootsteps.StartStopStep):
        requires = (Tasks,)

        def start(self, consumer: Any) -> None:
            on_channel(consumer.task_consumer.channel)

        def register_with_event_loop(self, _: Any, hub: Any) -> None:
            hub.call_repeatedly(1.0, each_second)

    return WithChannel


#: pause after an error of a server that answers, such as READONLY
_REFUSED_PAUSE_S = 0.5


class QuickConsumer(Consumer):
    """Reconnects within a second, after any error; a watchdog ends a worker that cannot serve.

    Celery waits 2, 4 and up to 30 s between attempts, and ends after an error that it does not
    know.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lost = (*self.conninfo.connection_errors, *self.conninfo.channel_errors)
        self.channel_errors: tuple[type[Exception], ...] = (Exception,)

    def on_connection_error_before_connected(self, exc: BaseException) -> None:
        super().on_connection_error_before_connected(exc)
        time.sleep(_REFUSED_PAUSE_S)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        super().on_connection_error_after_connected(exc)
        time.sleep(_REFUSED_PAUSE_S)

    def create_task_handler(self, *args: Any) -> Callable[[Any], None]:
        """Return a handler that refuses a message which Celery cannot start, and goes on."""
        handle = super().create_task_handler(*args)

        def on_task_received(message: Any) -> None:
            try:
                handle(message)
            except self._lost:
                raise
            except Exception as error:
                log.exception("message.not_started", error=str(error))
                message.reject_log_error(log, self._lost, requeue=True)

        return on_task_received

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
