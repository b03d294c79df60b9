"""The calendars of a market: which instruments trade on which rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from risk_tasks.model.calendar import IntArray, long_gaps
from risk_tasks.model.market import MarketSnapshot

if TYPE_CHECKING:
    from risk_tasks.engine.market import DerivedPanels

#: the largest number of returns in the derived panels that a market keeps
_MOST_CELLS = 8 << 20

_Key = tuple[tuple[int, ...], bytes]


class KeptPanels:
    """The panels on common rows that were used last; shared by markets and by threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, DerivedPanels] = OrderedDict()
        self._n_cells = 0
        self._lock = Lock()

    def get(self, key: _Key, make: Callable[[], DerivedPanels]) -> DerivedPanels:
        """Return the panel of `key`, made by `make` unless it is kept."""
        with self._lock:
            found = self._kept.pop(key, None)
            if found is not None:
                self._kept[key] = found
                return found
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._n_cells += made.of_days.size
            while self._n_cells > _MOST_CELLS and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._n_cells -= oldest.of_days.size
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Calendars:
    """When the n instruments of a market trade.

    `first` (n,) is the row of the first price, -1 before all rows. `code` (n,) is the calendar of
    each instrument, a row of `closed` (C, T): the rows on which those of a calendar do not trade.
    Calendar 0 has no closed row. `days` (T + 1,) has dates as numbers of days: the date before all
    rows, or that of the first row if it is unknown, then those of the rows; None without dates.
    """

    first: IntArray
    code: IntArray
    closed: npt.NDArray[np.bool_]
    days: IntArray | None
    max_gap_days: int | None
    #: whether even a portfolio without closed rows is computed on a part of the rows
    cuts_all: bool
    panels: KeptPanels = field(default_factory=KeptPanels)

    @classmethod
    def of(cls, snapshot: MarketSnapshot) -> Calendars | None:
        """Return the calendars of `snapshot`, None if every portfolio has the same rows."""
        if not snapshot.has_calendars:
            return None
        first = snapshot.first_price_rows
        closed = np.isnan(snapshot.returns.T) & (
            np.arange(snapshot.n_observations) > first[:, None]
        )
        code, founders = _codes(first, closed)
        days = _days(snapshot)
        long = long_gaps(snapshot.price_dates, snapshot.max_gap_days)
        return cls(
            first=first,
            code=code,
            closed=np.vstack([np.zeros((1, closed.shape[1]), dtype=np.bool_), closed[founders]]),
            days=days,
            max_gap_days=snapshot.max_gap_days,
            cuts_all=snapshot.window_days is not None or bool(long.any()),
        )


def _days(snapshot: MarketSnapshot) -> IntArray | None:
    dates = snapshot.price_dates
    return None if dates is None else np.array(dates, dtype="datetime64[D]").astype(np.int64)


def _codes(first: IntArray, closed: npt.NDArray[np.bool_]) -> tuple[IntArray, list[int]]:
    """Return the calendar of each instrument (n,), and one instrument (C,) of each but the first.

    A young instrument has the calendar of an older one that is closed on the same rows since then.
    """
    code = np.zeros(len(first), dtype=np.int64)
    founders: list[int] = []
    gapped = np.flatnonzero(closed.any(axis=1))
    gapped = gapped[np.argsort(first[gapped], kind="stable")]
    known: dict[bytes, int] = {}
    listed = -2
    for i in gapped.tolist():
        start = int(first[i])
        if start != listed:
            listed = start
            known = {closed[one, start + 1 :].tobytes(): at + 1 for at, one in enumerate(founders)}
        key = closed[i, start + 1 :].tobytes()
        if key not in known:
            founders.append(i)
            known[key] = len(founders)
        code[i] = known[key]
    return code, founders
