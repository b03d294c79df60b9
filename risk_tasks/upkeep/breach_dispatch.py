"""BreachDispatch changes of state on to the Celery queues that listen."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from risk_tasks.broker.envelope import handing_message, task_message
from risk_tasks.errors import ChangesTrimmedError
from risk_tasks.model.live import LimitChange
from risk_tasks.queues import LIMIT_BREACH_TASK
from risk_tasks.store.breaches import BEGINNING, BreachStream, ListenerStore
from risk_tasks.wire.documents import change_document

log = structlog.get_logger("risk_tasks")

#: a step holds a worker about this long: it serves the critical lane
STEP_S = 0.01
_PER_READ = 100


class BreachDispatch:
    """Tells each listener of what comes after its place, once; several may be at it."""

    def __init__(self, listeners: ListenerStore, stream: BreachStream) -> None:
        self._listeners = listeners
        self._stream = stream

    def call(self) -> None:
        """Have a worker hand changes on, where a listener that has room is behind."""
        if self._behind():
            self._listeners.call(handing_message())

    def step(self) -> None:
        """Hand on for a while; what is left then is left to the next step, which is called for."""
        self._listeners.begin()
        until_s = time.perf_counter() + STEP_S
        behind = self._behind()
        while behind and time.perf_counter() < until_s:
            for queue, place in behind.items():
                self._hand_on(queue, place)
            behind = self._behind()
        if behind:
            self._listeners.call(handing_message())

    def _behind(self) -> dict[str, str]:
        """Return the places of those that have something to be told and room for it."""
        listeners = self._listeners.all()
        last = self._stream.last() if listeners else BEGINNING
        return {
            queue: place
            for queue, place in listeners.items()
            if _order(place) < _order(last) and self._listeners.room(queue)
        }

    def _hand_on(self, queue: str, place: str) -> None:
        changes = self._read(queue, place, max(1, min(_PER_READ, self._listeners.room(queue))))
        messages = [
            task_message(LIMIT_BREACH_TASK, one.event_id, queue, change_document(one))
            for one in changes
        ]
        if changes:
            self._listeners.hand_on(queue, place, changes[-1].id, messages)

    def _read(self, queue: str, place: str, most: int) -> Sequence[LimitChange]:
        try:
            return self._stream.read(place, most=most)
        except ChangesTrimmedError as error:
            log.warning("listener.too_late", queue=queue, error=str(error))
            return self._stream.read(BEGINNING, most=most)


def _order(place: str) -> tuple[int, int]:
    ms, _, number = place.partition("-")
    return int(ms), int(number or 0)
