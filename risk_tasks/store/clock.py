"""The clock of the server, by which all roles measure: clocks of machines may differ by hours."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import redis

from risk_tasks.connection import Store, server_s


class ServerClock(Store):
    """The time of the server, continued by the monotonic clock between two readings.

    Before the first reading it is the clock of this machine.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._ahead_s = time.time() - time.monotonic()

    def read(self) -> None:
        """Read the clock of the server; raises `TransportError`."""
        self._ahead_s = server_s(self._client.time()) - time.monotonic()

    def now(self) -> datetime:
        """Return the time in UTC; sends nothing."""
        return datetime.fromtimestamp(self._ahead_s + time.monotonic(), UTC)
