"""Stores an error as the result of each refused message that does not have a result yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from risk_tasks.errors import RefusedMessageError
from risk_tasks.roles.presence import Repeater

_EVERY_S = 0.2
#: errors that wait while the result backend is away; beyond that the oldest is dropped
_MAX_WAITING = 1_000
#: results of one message
_MAX_IDS = 100

StoreFirst = Callable[[str, Exception], object]


class Refusals(Repeater):
    """Stores them in a thread of its own: fetching does not wait for the result backend."""

    def __init__(self, store_first: StoreFirst) -> None:
        super().__init__(self._flush, every_s=_EVERY_S, name="refusals")
        self._store_first = store_first
        self._waiting: deque[tuple[str, RefusedMessageError]] = deque(maxlen=_MAX_WAITING)

    def add(self, ids: Sequence[str], error: RefusedMessageError) -> None:
        """Store `error` as the result of `ids` soon."""
        self._waiting.extend((task_id, error) for task_id in ids[:_MAX_IDS])

    def _flush(self) -> None:
        while self._waiting:
            self._store_first(*self._waiting[0])
            self._waiting.popleft()
