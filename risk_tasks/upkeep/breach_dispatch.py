"""Delivers changes of state of limits to the Celery queues that listen."""

from __future__ import annotations

import time
from collections.abc import Sequence

from risk_tasks.broker.envelope import dispatch_message, task_message
from risk_tasks.errors import ChangesTrimmedError
from risk_tasks.log import log
from risk_tasks.model.live import LimitChange
from risk_tasks.queues import LIMIT_BREACH_TASK
from risk_tasks.store.breaches import BEGINNING, MAX_PER_READ, BreachStream, ListenerStore, order
from risk_tasks.wire.documents import change_document

#: how long one step holds a worker, which also serves the critical lane
STEP_S = 0.01


class BreachDispatch:
    """Delivers each change once to each queue; several processes may do so at the same time."""

    def __init__(self, listeners: ListenerStore, stream: BreachStream) -> None:
        self._listeners = listeners
        self._stream = stream

    def request(self) -> None:
        """Have a worker deliver changes if a queue is behind and has room."""
        if self._behind():
            self._listeners.request_dispatch(dispatch_message())

    def step(self) -> None:
        """Deliver changes for `STEP_S`; requests another step if some are left."""
        self._listeners.start_dispatch()
        until_s = time.perf_counter() + STEP_S
        behind = self._behind()
        while behind and time.perf_counter() < until_s:
            for queue, position in behind.items():
                self._deliver(queue, position)
            behind = self._behind()
        if behind:
            self._listeners.request_dispatch(dispatch_message())

    def _behind(self) -> dict[str, str]:
        """Return the positions of the queues that are behind and have room."""
        listeners = self._listeners.all()
        last = self._stream.last() if listeners else BEGINNING
        return {
            queue: position
            for queue, position in listeners.items()
            if order(position) < order(last) and self._listeners.room(queue)
        }

    def _deliver(self, queue: str, position: str) -> None:
        limit = max(1, min(MAX_PER_READ, self._listeners.room(queue)))
        changes = self._read(queue, position, limit)
        messages = [
            task_message(LIMIT_BREACH_TASK, one.event_id, queue, change_document(one))
            for one in changes
        ]
        if changes:
            self._listeners.deliver(queue, position, changes[-1].id, messages)

    def _read(self, queue: str, position: str, limit: int) -> Sequence[LimitChange]:
        try:
            return self._stream.read(position, limit=limit)
        except ChangesTrimmedError as error:
            log.warning("listener.changes_lost", queue=queue, error=str(error))
            return self._stream.read(BEGINNING, limit=limit)
