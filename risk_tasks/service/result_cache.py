"""Costly measures, looked up before they are computed, and computed once in the fleet."""

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

from risk_tasks.cache import SingleFlight, TwoTiers, Waited
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.engine.content import content_digests
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.service.demand import Demand
from risk_tasks.service.fingerprint import ENGINE_VERSION
from risk_tasks.wire.documents import settings_document

#: part of every key: entries of another form are never found
_KEY_FORMAT = 1
_CELL = np.dtype([("value", "<f8"), ("outcome", "i1")])
#: after so many times what computing ought to take, its holder is given up for dead
_LEASE_FACTOR, _SHORTEST_LEASE_S = 20.0, 2.0

#: what stands for a number that somebody else was computing when the time was over
_LATE = np.array([(np.nan, Outcome.NOT_IN_TIME)], dtype=_CELL).tobytes()

Columns = dict[MeasureName, MeasureColumn]


def costly_of(names: Sequence[MeasureName], settings: MeasureSettings) -> list[MeasureName]:
    """Return those of `names` that cost more than looking them up."""
    return [name for name in names if name.definition.is_looked_up(settings.n_paths)]


class ResultCache:
    """Computes blocks as the engine does, with the same bits, whatever is known already."""

    def __init__(
        self,
        tiers: TwoTiers,
        flight: SingleFlight,
        *,
        ttl_s: float,
        demand: Demand | None = None,
    ) -> None:
        self._tiers = tiers
        self._flight = flight
        self._ttl_s = ttl_s
        self._demand = demand
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def drain(self) -> dict[str, int]:
        """Return how often each measure was known and unknown since the last time."""
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

        What others are computing is waited for until `until_s` on the monotonic clock; what has
        not come then has no number and the outcome `NOT_IN_TIME`.
        """
        costly = costly_of(names, settings)
        columns = compute(block, market, [n for n in names if n not in costly], settings)
        if costly:
            if self._demand is not None:
                self._demand.note(block, market, costly, settings)
            columns |= self._recall(_Question(block, market, costly, settings), until_s)
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
        """Compute and keep what is not known for another `fresh_s` seconds; returns how much."""
        asked = _Question(block, market, costly_of(names, settings), settings)
        once = list(dict.fromkeys(asked.keys))
        known = self._tiers.look_up(once)
        stale = [
            key
            for key, found in zip(once, known, strict=True)
            if found is None or found.ttl_s < fresh_s
        ]
        if stale:
            started = time.perf_counter()
            cells = asked.answer(stale)
            cost_s = (time.perf_counter() - started) / len(cells)
            self._tiers.set_many(cells, self._ttl_s, cost_s=cost_s)
        return len(stale)

    def _recall(self, asked: _Question, until_s: float) -> Columns:
        once = list(dict.fromkeys(asked.keys))
        cells = dict(zip(once, self._tiers.get_many(once), strict=True))
        missing = [
            key for key, cell in cells.items() if cell is None or len(cell) != _CELL.itemsize
        ]
        self._count(asked, set(missing))
        if missing:
            cells |= dict.fromkeys(missing, _LATE) | self._fly(asked, missing, until_s)
        return asked.columns([cells[key] or _LATE for key in asked.keys])

    def _count(self, asked: _Question, missing: Collection[bytes]) -> None:
        n = len(asked)
        with self._lock:
            for at, name in enumerate(asked.names):
                n_missing = sum(key in missing for key in asked.keys[at * n : (at + 1) * n])
                self._counts[f"{name.name}:hits"] += n - n_missing
                self._counts[f"{name.name}:misses"] += n_missing

    def _fly(
        self, asked: _Question, missing: Sequence[bytes], until_s: float
    ) -> dict[bytes, bytes]:
        """Compute those of `missing` that nobody computes, and wait for the others."""
        lease_s = max(_SHORTEST_LEASE_S, asked.cost_s(len(missing)) * _LEASE_FACTOR)
        with self._flight.lead(missing, lease_s=lease_s) as turn:
            waited = Waited.TAKEN_OVER
            while waited is Waited.TAKEN_OVER:
                if turn.mine:
                    started = time.perf_counter()
                    cells = asked.answer(turn.mine)
                    cost_s = (time.perf_counter() - started) / len(cells)
                    turn.land(cells, self._ttl_s, cost_s=cost_s)
                waited = turn.wait(until_s)
            return turn.found


class _Question:
    """What is asked of one block: a key for each measure and portfolio, equal ones for the same."""

    def __init__(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        names: Sequence[MeasureName],
        settings: MeasureSettings,
    ) -> None:
        self._block, self._market, self.names, self._settings = block, market, names, settings
        digests = content_digests(block, market)
        self.keys = [key for name in names for key in _keys(_prefix(name, settings), digests)]

    def __len__(self) -> int:
        return len(self._block)

    def cost_s(self, n_cells: int) -> float:
        """Return about how long computing so many cells takes."""
        dearest = max(name.definition.cost_of(self._settings.n_paths) for name in self.names)
        return dearest * n_cells / 1e6

    def answer(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Compute `keys`, in one call for all that are of the same measures."""
        cell_of = {key: cell for cell, key in enumerate(self.keys)}
        cells = [divmod(cell_of[key], len(self._block)) for key in keys]
        names = sorted({at for at, _ in cells})
        rows = sorted({row for _, row in cells})
        wanted = [self.names[at] for at in names]
        columns = compute(self._block.rows(np.array(rows)), self._market, wanted, self._settings)
        table = {at: _cells(columns[self.names[at]]) for at in names}
        place = {row: at for at, row in enumerate(rows)}
        return {key: table[at][place[row]] for key, (at, row) in zip(keys, cells, strict=True)}

    def columns(self, cells: Sequence[bytes]) -> Columns:
        """Return `cells`, one for each key in order, as columns over the block."""
        table = np.frombuffer(b"".join(cells), dtype=_CELL).reshape(len(self.names), -1)
        return {
            name: MeasureColumn(row["value"].copy(), row["outcome"].copy())
            for name, row in zip(self.names, table, strict=True)
        }


def _cells(column: MeasureColumn) -> list[bytes]:
    cells = np.empty(len(column.values), dtype=_CELL)
    cells["value"], cells["outcome"] = column.values, column.outcomes
    listed: list[bytes] = cells.view(f"V{_CELL.itemsize}").tolist()
    return listed


def _keys(prefix: bytes, digests: npt.NDArray[np.uint64]) -> list[bytes]:
    """Return `prefix` before each digest (U, 2), without a step of Python for each."""
    keys = np.empty((len(digests), len(prefix) + 16), dtype=np.uint8)
    keys[:, : len(prefix)] = np.frombuffer(prefix, dtype=np.uint8)
    keys[:, len(prefix) :] = digests.view(np.uint8).reshape(len(digests), 16)
    listed: list[bytes] = keys.view(f"V{keys.shape[1]}").reshape(-1).tolist()
    return listed


@lru_cache(maxsize=1024)
def _prefix(name: MeasureName, settings: MeasureSettings) -> bytes:
    terms = [_KEY_FORMAT, ENGINE_VERSION, str(name), settings_document(settings)]
    return hashlib.blake2b(json.dumps(terms).encode(), digest_size=16).digest()
