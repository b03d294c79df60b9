"""The markets that a worker holds in memory, by id."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

from cachetools import LRUCache

from risk_tasks.engine import MarketArrays
from risk_tasks.model.market import MarketSnapshot


class MarketShelf:
    """Loads each market once and keeps the last `capacity`; safe to share between threads.

    A market that is being used stays whole while another is put beside it: swapping never waits
    for running checks, and they never see half of it.
    """

    def __init__(self, load: Callable[[str], MarketSnapshot | None], *, capacity: int = 4) -> None:
        self._load = load
        self._held: LRUCache[str, MarketArrays] = LRUCache(capacity)
        # Looked up by their panel, without being kept alive or in use by that.
        self._by_panel: WeakValueDictionary[str, MarketArrays] = WeakValueDictionary()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def get(self, market_id: str) -> MarketArrays | None:
        """Return the market, loading it where it is not held; None where there is none such."""
        held = self._find(market_id)
        if held is not None:
            return held
        with self._loading:
            held = self._find(market_id)
            if held is not None:
                return held
            snapshot = self._load(market_id)
            if snapshot is None:
                return None
            with self._lock:
                like = self._by_panel.get(snapshot.panel_id)
            arrays = MarketArrays.of(snapshot, like=like)
            with self._lock:
                self._held[market_id] = arrays
                self._by_panel[snapshot.panel_id] = arrays
            return arrays

    def ids(self) -> list[str]:
        with self._lock:
            return list(self._held)

    def _find(self, market_id: str) -> MarketArrays | None:
        with self._lock:
            found: MarketArrays | None = self._held.get(market_id)
            return found
