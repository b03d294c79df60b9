"""Costly measures: looked up before they are computed, and computed once in the fleet."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from risk_tasks.cache import CachedValue, SingleFlight
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.engine.content import content_digests
from risk_tasks.model.column import NO_PAST, MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.service.fingerprint import ENGINE_VERSION
from risk_tasks.service.popularity import Popularity
from risk_tasks.wire.documents import settings_document

#: part of every key, so that entries of another format are never found
_KEY_FORMAT = 2
_CELL = np.dtype([("value", "<f8"), ("outcome", "i1"), ("n_observations", "<i4")])
#: a lease lasts this many times the estimated computing time: its holder is taken for dead then
_LEASE_FACTOR, _SHORTEST_LEASE_S = 20.0, 2.0

#: the cell of a result that had not arrived at the deadline
_NOT_IN_TIME = np.array([(np.nan, Outcome.NOT_IN_TIME, NO_PAST)], dtype=_CELL).tobytes()

Columns = dict[MeasureName, MeasureColumn]


def costly_of(names: Sequence[MeasureName], settings: MeasureSettings) -> list[MeasureName]:
    """Return those of `names` that cost more to compute than to look up."""
    return [name for name in names if name.definition.is_looked_up(settings.n_paths)]


class ResultCache:
    """Computes blocks with the same bits as the engine, and computes costly measures only once."""

    def __init__(
        self,
        flights: SingleFlight,
        *,
        ttl_s: float,
        popularity: Popularity | None = None,
    ) -> None:
        self._flights = flights
        self._tiers = flights.tiers
        self._ttl_s = ttl_s
        self._popularity = popularity
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def drain(self) -> dict[str, int]:
        """Return hits and misses by measure since the last call."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)

    def compute(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        names: Sequence[MeasureName],
        settings: MeasureSettings,
        *,
        until_s: float,
    ) -> Columns:
        """Return one column of shape (P,) for each of `names`.

        Results that other workers are computing are waited for until `until_s` by the monotonic
        clock; a result that has not arrived by then has no value and the outcome `NOT_IN_TIME`.
        """
        costly = costly_of(names, settings)
        columns = compute(block, market, [n for n in names if n not in costly], settings)
        if costly:
            if self._popularity is not None:
                self._popularity.count(block, market, costly, settings)
            columns |= self._look_up(_Cells(block, market, costly, settings), until_s)
        return {name: columns[name] for name in names}

    def refresh(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        names: Sequence[MeasureName],
        settings: MeasureSettings,
        *,
        fresh_s: float,
    ) -> int:
        """Compute and keep what expires within `fresh_s` seconds; return the number of results."""
        cells = _Cells(block, market, costly_of(names, settings), settings)
        keys = list(dict.fromkeys(cells.keys))
        held = zip(keys, self._tiers.get_many(keys, is_counted=False), strict=True)
        stale = [key for key, one in held if one is None or one.ttl_s < fresh_s]
        if stale:
            self._tiers.set_many(cells.compute(stale, self._ttl_s))
        return len(stale)

    def _look_up(self, cells: _Cells, until_s: float) -> Columns:
        keys = list(dict.fromkeys(cells.keys))
        found = {
            key: one.value
            for key, one in zip(keys, self._tiers.get_many(keys), strict=True)
            if one is not None and len(one.value) == _CELL.itemsize
        }
        missing = [key for key in keys if key not in found]
        self._count(cells, found)
        if missing:
            found |= self._flights.compute_once(
                missing,
                lambda mine: cells.compute(mine, self._ttl_s),
                lease_s=max(_SHORTEST_LEASE_S, cells.cost_s(len(missing)) * _LEASE_FACTOR),
                until_s=until_s,
            )
        return cells.columns([found.get(key, _NOT_IN_TIME) for key in cells.keys])

    def _count(self, cells: _Cells, found: Collection[bytes]) -> None:
        n = len(cells)
        with self._lock:
            for i, name in enumerate(cells.names):
                n_hits = sum(key in found for key in cells.keys[i * n : (i + 1) * n])
                self._counts[f"{name.name}:hits"] += n_hits
                self._counts[f"{name.name}:misses"] += n - n_hits


class _Cells:
    """The results of a block: one key per measure and portfolio, equal keys for equal results."""

    def __init__(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        names: Sequence[MeasureName],
        settings: MeasureSettings,
    ) -> None:
        self._block, self._market, self.names, self._settings = block, market, names, settings
        digests = content_digests(block, market)
        prefixes = [_prefix(name, settings) for name in names]
        self.keys = [prefix + digest for prefix in prefixes for digest in digests]

    def __len__(self) -> int:
        return len(self._block)

    def cost_s(self, n_cells: int) -> float:
        """Return the estimated seconds that computing `n_cells` takes."""
        dearest = max(name.definition.cost_of(self._settings.n_paths) for name in self.names)
        return dearest * n_cells / 1e6

    def compute(self, keys: Sequence[bytes], ttl_s: float) -> dict[bytes, CachedValue]:
        """Compute the results of `keys` by one call of the engine, to be kept for `ttl_s`.

        Results whose kernels were not compiled by the deadline are left out.
        """
        started = time.perf_counter()
        index_of_key = {key: i for i, key in enumerate(self.keys)}
        measure_and_row = [divmod(index_of_key[key], len(self._block)) for key in keys]
        rows = sorted({row for _, row in measure_and_row})
        names = {i: self.names[i] for i in sorted({i for i, _ in measure_and_row})}
        block = self._block.rows(np.array(rows))
        columns = compute(block, self._market, list(names.values()), self._settings)
        cells = {
            i: dict(zip(rows, _cells(columns[name]), strict=True)) for i, name in names.items()
        }
        cost_s = (time.perf_counter() - started) / len(keys)
        computed = [cells[i][row] for i, row in measure_and_row]
        return {
            key: CachedValue(cell, ttl_s, cost_s)
            for key, cell in zip(keys, computed, strict=True)
            if cell != _NOT_IN_TIME
        }

    def columns(self, cells: Sequence[bytes]) -> Columns:
        """Return `cells`, one for each key in order, as columns over the block."""
        table = np.frombuffer(b"".join(cells), dtype=_CELL).reshape(len(self.names), -1)
        return {name: _column(row) for name, row in zip(self.names, table, strict=True)}


def _cells(column: MeasureColumn) -> list[bytes]:
    cells = np.empty(len(column.values), dtype=_CELL)
    cells["value"], cells["outcome"] = column.values, column.outcomes
    cells["n_observations"] = NO_PAST if column.n_observations is None else column.n_observations
    listed: list[bytes] = cells.view(f"V{_CELL.itemsize}").tolist()
    return listed


def _column(cells: npt.NDArray[np.void]) -> MeasureColumn:
    column = MeasureColumn(cells["value"].copy(), cells["outcome"].copy())
    n_observations = cells["n_observations"].astype(np.int64)
    return column if (n_observations == NO_PAST).all() else column.over(n_observations)


@lru_cache(maxsize=1024)
def _prefix(name: MeasureName, settings: MeasureSettings) -> bytes:
    terms = [_KEY_FORMAT, ENGINE_VERSION, str(name), settings_document(settings)]
    return hashlib.blake2b(json.dumps(terms).encode(), digest_size=16).digest()
