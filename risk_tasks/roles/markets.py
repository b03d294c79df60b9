"""Markets loaded into the memory of a worker before the first block needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from risk_tasks.roles.presence import Repeater


class MarketPreloader(Repeater):
    """Loads current markets in a thread of its own, so that renewing a lease does not wait for it.

    `load` takes an id, and returns at once for a market that is in memory.
    """

    def __init__(self, load: Callable[[str], object]) -> None:
        super().__init__(self._step, every_s=0.0, name="markets")
        self._load = load
        self._current: Mapping[str, str] = {}
        self._changed = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        self._changed.set()
        super().stop()

    def set_current(self, current: Mapping[str, str]) -> None:
        """Set the ids of current markets by name; a market that failed to load is tried again."""
        self._current = current
        self._changed.set()

    def load_current(self) -> None:
        """Load the current markets; raises `TransportError`."""
        self._changed.clear()
        for market_id in self._current.values():
            self._load(market_id)

    def _step(self) -> None:
        self._changed.wait()
        if not self._stopped.is_set():
            self.load_current()
