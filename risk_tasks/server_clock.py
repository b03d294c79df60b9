"""The clock of a server, which roles use for expiries: clocks of machines may differ by hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class ServerClock:
    """The server's clock, at most one round trip slow, without a call for each reading.

    Between readings, the time that passes on this machine's monotonic clock is added. A change of
    the server's clock is noticed after `refresh_s`. Safe to share between threads.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, refresh_s: float = 10.0
    ) -> None:
        self._clock = clock
        self._refresh_s = refresh_s
        self._reading: tuple[float, int] | None = None

    def is_due(self) -> bool:
        """Return whether the next call should also ask for the time."""
        return self._reading is None or self._clock() - self._reading[0] > self._refresh_s

    def set(self, answer: tuple[int, int]) -> None:
        """Set the clock by an answer to TIME that has just arrived: seconds and microseconds."""
        seconds, microseconds = answer
        self._reading = (self._clock(), seconds * 1_000 + microseconds // 1_000)

    def now_ms(self) -> int | None:
        """Return the server's time; None before the first reading."""
        reading = self._reading
        if reading is None:
            return None
        at_s, server_ms = reading
        return server_ms + int((self._clock() - at_s) * 1_000)

    def now(self) -> datetime:
        """Return the server's time in UTC; before the first reading, that of this machine."""
        now_ms = self.now_ms()
        return datetime.now(UTC) if now_ms is None else datetime.fromtimestamp(now_ms / 1e3, UTC)


def server_s(time: Any) -> float:
    """Return the answer to TIME, the clock of the server, in seconds."""
    seconds, microseconds = time
    return float(seconds) + float(microseconds) / 1e6
