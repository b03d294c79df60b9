"""What is asked for, noted by what it would take to ask for it again on another market."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.kernels.digest import row_digests
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.store.prewarm import Popularity
from risk_tasks.wire.documents import settings_document


class CostlyRequest(msgspec.Struct, frozen=True):
    """Positions by instrument, and what was wanted of them; JSON on the server."""

    positions: dict[str, float]
    measures: list[str]
    settings: dict[str, Any]


class Demand:
    """Counts what blocks ask for of the measures that are worth keeping."""

    def __init__(self, popularity: Popularity) -> None:
        self._popularity = popularity
        self._names: LRUCache[str, tuple[list[str], npt.NDArray[np.uint64]]] = LRUCache(8)
        self._lock = threading.Lock()

    def note(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        names: Sequence[MeasureName],
        settings: MeasureSettings,
    ) -> None:
        """Count each portfolio of `block` once, under its positions, `names` and `settings`."""
        instruments, head = self._head(market)
        measures, document = [str(name) for name in names], settings_document(settings)
        terms = hashlib.blake2b(json.dumps([measures, document]).encode(), digest_size=16).digest()
        words = np.empty((len(block.instrument), 2), dtype=np.uint64)
        words[:, 0], words[:, 1] = block.instrument, block.quantity.view(np.uint64)
        digests = np.empty((len(block), 2), dtype=np.uint64)
        row_digests(
            block.offsets, np.concatenate([head, np.frombuffer(terms, "<u8")]), words, digests
        )
        digest_of_row: list[bytes] = digests.view("V16").reshape(-1).tolist()
        row_of = {digest.hex(): row for row, digest in enumerate(digest_of_row)}
        weights = Counter(digest_of_row)

        def request_of(digest: str) -> bytes:
            one = block.row(row_of[digest])
            held = [instruments[place] for place in one.instrument]
            positions = dict(zip(held, one.quantity.tolist(), strict=True))
            return msgspec.json.encode(CostlyRequest(positions, measures, document))

        self._popularity.note(
            ((digest.hex(), float(count)) for digest, count in weights.items()), request_of
        )

    def _head(self, market: MarketArrays) -> tuple[list[str], npt.NDArray[np.uint64]]:
        """Return the market's instruments and a hash of them: new returns leave it as it is."""
        with self._lock:
            found = self._names.get(market.panel_id)
        if found is None:
            names = list(market.index)
            digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=16).digest()
            found = names, np.frombuffer(digest, "<u8")
            with self._lock:
                self._names[market.panel_id] = found
        return found
