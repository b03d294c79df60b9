"""Errors for callers whose messages were refused, stored where no result stands yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from risk_tasks.errors import RefusedMessageError
from risk_tasks.roles.presence import Repeater

_EVERY_S = 0.2
#: answers that wait while the result backend is away; after that the oldest is dropped
_MAX_WAITING = 1_000
#: answers of one message
_MAX_IDS = 100

StoreFirst = Callable[[str, Exception], object]


class Refusals(Repeater):
    """Stores the answers in a thread of its own: fetching does not wait for the result backend."""

    def __init__(self, store_first: StoreFirst) -> None:
        super().__init__(self._flush, every_s=_EVERY_S, name="refusals")
        self._store_first = store_first
        self._waiting: deque[tuple[str, RefusedMessageError]] = deque(maxlen=_MAX_WAITING)

    def add(self, ids: Sequence[str], error: RefusedMessageError) -> None:
        """Answer the results `ids` with `error` soon."""
        self._waiting.extend((task_id, error) for task_id in ids[:_MAX_IDS])

    def _flush(self) -> None:
        while self._waiting:
            self._store_first(*self._waiting[0])
            self._waiting.popleft()
