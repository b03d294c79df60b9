"""The markets in the memory of a worker, by id."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cachetools import Cache, LRUCache

from risk_tasks.engine import MarketArrays
from risk_tasks.model.market import MarketSnapshot


class MarketCache:
    """Loads each market once and keeps the `capacity` last used; safe to share between threads.

    A check keeps the market that it started with, so a new market does not wait for running checks.
    """

    def __init__(self, load: Callable[[str], MarketSnapshot | None], *, capacity: int = 4) -> None:
        self._load = load
        self._held: LRUCache[str, MarketArrays] = LRUCache(capacity)
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def get(self, market_id: str) -> MarketArrays | None:
        """Return the market, and load it if necessary; None if it does not exist."""
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
            arrays = MarketArrays.of(snapshot, like=self._with_panel(snapshot.panel_id))
            with self._lock:
                self._held[market_id] = arrays
            return arrays

    def ids(self) -> list[str]:
        with self._lock:
            return list(self._held)

    def _find(self, market_id: str) -> MarketArrays | None:
        with self._lock:
            found: MarketArrays | None = self._held.get(market_id)
            return found

    def _with_panel(self, panel_id: str) -> MarketArrays | None:
        with self._lock:
            # Not by the look-up of the LRU cache: sharing a panel does not count as using a market.
            held = (Cache.__getitem__(self._held, market_id) for market_id in self._held)
            return next((market for market in held if market.panel_id == panel_id), None)
