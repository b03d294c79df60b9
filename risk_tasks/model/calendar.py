"""Dates on which instruments trade: how returns of different calendars are aligned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

import numpy as np
import numpy.typing as npt

#: the most calendar days from one price to the next that are one return: Golden Week and the New
#: Year close an exchange for up to ten days
MAX_GAP_DAYS = 10


class Align(StrEnum):
    """What a missing return means."""

    #: missing data: an outcome of a portfolio that holds the instrument is left out
    DROP = "drop"
    #: the instrument did not trade: the next return spans the days since its last price
    COMMON = "common"


class Frequency(StrEnum):
    """The time between two rows of prices."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def row_days(self) -> int:
        """The trading days of one return; hourly prices are reduced to the last of each date."""
        return {Frequency.WEEKLY: 5, Frequency.MONTHLY: 21}.get(self, 1)


IntArray = npt.NDArray[np.int64]


def first_price_rows(
    returns: npt.NDArray[np.float64],
    dates: Sequence[date] | None,
    first_dates: Sequence[date] | None,
) -> IntArray:
    """Return (n,): the row of the first price of each instrument, -1 before the first row.

    `returns` has shape (T, n). Without `first_dates` (n,) it is the row before the first return; it
    is T - 1 for an instrument without any return.
    """
    present = ~np.isnan(returns)
    before: IntArray = (~np.logical_or.accumulate(present, axis=0)).sum(axis=0) - 1
    if dates is None or first_dates is None or not len(dates):
        return before
    days = np.array(dates, dtype="datetime64[D]")
    given = np.array(first_dates, dtype="datetime64[D]")
    rows = np.where(given < days[0], -1, np.searchsorted(days, given))
    return np.minimum(rows, before)


def is_aligned(
    returns: npt.NDArray[np.float64],
    first_rows: IntArray,
    dates: Sequence[date] | None,
    max_gap_days: int | None,
) -> bool:
    """Whether all instruments trade on every row after their first price, without a long gap."""
    missing = np.isnan(returns)
    if missing.any():
        missing &= np.arange(len(returns))[:, None] > first_rows
        if missing.any():
            return False
    return not long_gaps(dates, max_gap_days).any()


def long_gaps(dates: Sequence[date] | None, max_gap_days: int | None) -> npt.NDArray[np.bool_]:
    """Return (T,): whether a row is more than `max_gap_days` calendar days after the one before."""
    if dates is None or max_gap_days is None or len(dates) < 2:
        return np.zeros(0 if dates is None else len(dates), dtype=np.bool_)
    days = np.array(dates, dtype="datetime64[D]").astype(np.int64)
    long: npt.NDArray[np.bool_] = np.diff(days, prepend=days[:1]) > max_gap_days
    return long
