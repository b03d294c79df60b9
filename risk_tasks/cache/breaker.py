"""Leaving a server alone that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether calls are made."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens after `n_failures` in a row; lets one call through every `open_s` to see.

    No lock is held while a call runs, and a probe that never reports is followed by another.
    """

    def __init__(
        self,
        *,
        n_failures: int = 3,
        open_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._n_failures = n_failures
        self._open_s = open_s
        self._clock = clock
        self._failures_in_a_row = 0
        self._state = BreakerState.CLOSED
        self._probe_at_s = 0.0
        self._lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        return self._state

    def allows(self) -> bool:
        """Whether a call may be made now; who is told so reports how it went."""
        if self.state is BreakerState.CLOSED:
            return True
        with self._lock:
            now = self._clock()
            if now < self._probe_at_s:
                return False
            self._state = BreakerState.HALF_OPEN
            self._probe_at_s = now + self._open_s
            return True

    def succeeded(self) -> None:
        if self._failures_in_a_row == 0:
            return
        with self._lock:
            self._failures_in_a_row = 0
            self._state = BreakerState.CLOSED

    def failed(self) -> bool:
        """Note a failure; returns whether the breaker opened by it."""
        with self._lock:
            self._failures_in_a_row += 1
            if self._failures_in_a_row < self._n_failures:
                return False
            was_closed = self._state is BreakerState.CLOSED
            self._state = BreakerState.OPEN
            self._probe_at_s = self._clock() + self._open_s
            return was_closed
