"""Ends a worker that cannot serve although the server can, so that a supervisor restarts it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from risk_tasks.broker.serving import Slots
from risk_tasks.errors import TransportError
from risk_tasks.log import log
from risk_tasks.roles.presence import Repeater

#: exit code of a worker that cannot serve: an internal error by sysexits.h
STALLED = 70
_EVERY_S = 5.0
#: a longer gap between two looks: this process was stopped itself
_STOPPED_S = 10.0


class Watchdog(Repeater):
    """Measures that the event loop, the fetch and each slot move.

    `probe` writes and reads on the server and raises `TransportError`. While it does, nothing
    counts as stalled: a fault of the server never ends a role.
    """

    def __init__(
        self,
        probe: Callable[[], object],
        slots: Slots,
        *,
        n_slots: int,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[int], Any] = os._exit,
    ) -> None:
        super().__init__(self.look, every_s=min(_EVERY_S, timeout_s / 4), name="watchdog")
        self._probe, self._slots, self._n_slots = probe, slots, n_slots
        self._timeout_s, self._clock, self._end = timeout_s, clock, end
        self._fetches: Callable[[], bool] = lambda: True
        self._ticked_s = self._fetched_s = self._well_since_s = self._looked_s = clock()

    def watch(self, channel: Any) -> None:
        """Watch the fetches of a new connection."""
        channel.client.on_fetched = self.fetched
        self._fetches = lambda: bool(channel.active_queues)
        self.fetched()

    def cease(self) -> None:
        """End nothing from now on: a worker that drains does not fetch. Safe in signal handlers."""
        self._stopped.set()

    def ticked(self) -> None:
        """Note that the event loop runs."""
        self._ticked_s = self._clock()

    def fetched(self) -> None:
        """Note that the server answered a fetch."""
        self._fetched_s = self._clock()

    def look(self) -> None:
        """End the process if a part has not moved for the timeout while the server was well."""
        now_s = self._clock()
        if now_s - self._looked_s > _STOPPED_S:
            self._well_since_s = now_s
        self._looked_s = now_s
        try:
            self._probe()
        except TransportError:
            self._well_since_s = self._clock()
            return
        if self._slots.n_busy() >= self._n_slots or not self._fetches():
            self._fetched_s = now_s
        still_s = {
            "loop": now_s - self._ticked_s,
            "fetch": now_s - self._fetched_s,
            "slot": self._slots.longest_s(),
        }
        part = max(still_s, key=still_s.__getitem__)
        if min(still_s[part], now_s - self._well_since_s) >= self._timeout_s:
            log.critical("worker.stalled", part=part, still_s=round(still_s[part]))
            self._end(STALLED)
