"""The clock of the server, by which all roles measure: clocks of machines may differ by hours."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import redis

from risk_tasks.connection import Store, server_s

#: seconds for which the monotonic clock of a machine is exact enough
REFRESH_S = 10.0


class ServerClock(Store):
    """The time of the server, continued by the monotonic clock between two readings.

    Before the first reading it is the clock of this machine.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._ahead_s = time.time() - time.monotonic()
        self._read_s: float | None = None

    def read(self) -> None:
        """Read the clock of the server; raises `TransportError`."""
        self._ahead_s = server_s(self._client.time()) - time.monotonic()
        self._read_s = time.monotonic()

    def refresh(self) -> None:
        """Read the clock if the last reading is `REFRESH_S` old; raises `TransportError`."""
        if self._read_s is None or time.monotonic() - self._read_s >= REFRESH_S:
            self.read()

    def now(self) -> datetime:
        """Return the time in UTC; sends nothing."""
        return datetime.fromtimestamp(self._ahead_s + time.monotonic(), UTC)
