"""Which costly requests are frequent, in a form that can be computed again on another market."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from cachetools import LRUCache, cached

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.engine.content import position_digests
from risk_tasks.keys import MAX_POPULAR, MAX_POPULAR_BYTES
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.store.prewarm import PopularityStore
from risk_tasks.wire.documents import settings_document


class CostlyRequest(msgspec.Struct, frozen=True):
    """Quantities by instrument, measures and settings; stored as JSON on the server."""

    positions: dict[str, float]
    measures: list[str]
    settings: dict[str, Any]


class Popularity:
    """Counts costly requests in this process; `flush`, called regularly, sends the counts.

    Counting makes no call. Counts that `flush` cannot send are lost, which only makes a request
    look less popular.
    """

    def __init__(self, store: PopularityStore, *, capacity: int = MAX_POPULAR) -> None:
        self._store = store
        self._capacity = capacity
        self._counted: dict[str, tuple[float, bytes]] = {}
        self._lock = threading.Lock()

    def count(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        names: Sequence[MeasureName],
        settings: MeasureSettings,
    ) -> None:
        """Count each portfolio of `block` once, by its positions, `names` and `settings`."""
        instruments, instruments_digest = _instruments(market)
        measures, document = [str(name) for name in names], settings_document(settings)
        terms = hashlib.blake2b(json.dumps([measures, document]).encode(), digest_size=16).digest()
        digests = position_digests(block, block.quantity, instruments_digest + terms)
        digest_of_row = [digest.hex() for digest in digests]
        row_of = {digest: row for row, digest in enumerate(digest_of_row)}

        def request_of(digest: str) -> bytes:
            one = block.row(row_of[digest])
            held = [instruments[i] for i in one.instrument]
            positions = dict(zip(held, one.quantity.tolist(), strict=True))
            return msgspec.json.encode(CostlyRequest(positions, measures, document))

        self.add(Counter(digest_of_row), request_of)

    def add(self, counts: Mapping[str, float], request_of: Callable[[str], bytes]) -> None:
        """Add counts by digest; `request_of` encodes a request that is new since the last flush.

        Requests of more than `MAX_POPULAR_BYTES` are not counted, nor are new ones beyond the
        capacity.
        """
        with self._lock:
            for digest, count in counts.items():
                if digest in self._counted:
                    before, request = self._counted[digest]
                    self._counted[digest] = (before + count, request)
                elif len(self._counted) < self._capacity:
                    request = request_of(digest)
                    if len(request) <= MAX_POPULAR_BYTES:
                        self._counted[digest] = (count, request)

    def flush(self) -> None:
        """Send what was counted since the last flush; raises `TransportError`."""
        with self._lock:
            counted, self._counted = self._counted, {}
        self._store.add(counted)


def _read_instruments(market: MarketArrays) -> tuple[list[str], bytes]:
    names = list(market.index)
    digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=16).digest()
    return names, digest


#: returns the instruments of a market, and a hash of their names that new returns do not change
_instruments: Callable[[MarketArrays], tuple[list[str], bytes]] = cached(
    LRUCache(8), key=lambda market: market.panel_id, lock=threading.Lock()
)(_read_instruments)
