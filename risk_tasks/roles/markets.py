"""Markets brought into a worker's memory ahead of the first block that needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from risk_tasks.roles.presence import Repeater


class MarketsAhead:
    """Loads what is current in a thread of its own: who renews a lease cannot wait for a panel.

    `load` is called with an id, again and again, and does nothing where it holds that market.
    """

    def __init__(self, load: Callable[[str], object]) -> None:
        self._load = load
        self._current: Mapping[str, str] = {}
        self._told = threading.Event()
        self._is_over = False
        self._repeater = Repeater(self._step, every_s=0.0, name="markets")

    def start(self) -> None:
        self._repeater.start()

    def stop(self) -> None:
        self._is_over = True
        self._told.set()
        self._repeater.stop()

    def tell(self, current: Mapping[str, str]) -> None:
        """Say which markets are current, by name; one that could not be loaded is tried again."""
        self._current = current
        self._told.set()

    def hold(self) -> None:
        """Load what was told last; raises `TransportError`."""
        self._told.clear()
        for market_id in self._current.values():
            self._load(market_id)

    def _step(self) -> None:
        self._told.wait()
        if not self._is_over:
            self.hold()
