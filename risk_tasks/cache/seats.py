"""Who computes which key, or waits for it on behalf of all, in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from risk_tasks.cache.tier import Found


@dataclass(slots=True)
class Seat:
    """A key that somebody sees to: done with what was found, or with None where it was let go."""

    is_done: bool = False
    found: Found | None = None
    #: there as soon as somebody waits
    done: threading.Event | None = None


class Seats:
    """One seat a key at most; safe to share between threads."""

    def __init__(self) -> None:
        self._seats: dict[bytes, Seat] = {}
        self._lock = threading.Lock()

    def take(self, keys: Iterable[bytes]) -> tuple[list[bytes], dict[bytes, Seat]]:
        """Take the seats that are free; returns the keys of those, and the seats of others."""
        ours: list[bytes] = []
        beside: dict[bytes, Seat] = {}
        with self._lock:
            for key in keys:
                seat = self._seats.get(key)
                if seat is None:
                    self._seats[key] = Seat()
                    ours.append(key)
                    continue
                seat.done = seat.done or threading.Event()
                beside[key] = seat
        return ours, beside

    def leave(self, keys: Iterable[bytes], landed: Mapping[bytes, Found]) -> None:
        """Give back seats that are ours, and wake who waits beside them, with what came of it."""
        with self._lock:
            seats = [(self._seats.pop(key), landed.get(key)) for key in keys]
            for seat, found in seats:
                seat.found = found
                seat.is_done = True
        for seat, _ in seats:
            if seat.done is not None:
                seat.done.set()
