"""Read a market snapshot from a table of prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.calendar import MAX_GAP_DAYS, Align, Frequency
from risk_tasks.model.market import FloatArray1D, FloatArray2D, MarketSnapshot
from risk_tasks.model.proxies import Proxy, with_proxies
from risk_tasks.model.quality import DataFinding, FindingKind
from risk_tasks.model.scenario import Stress, Tags
from risk_tasks.model.values import require_choice, require_whole
from risk_tasks.readers.tables import Source, Table, read_dates, read_table

_NO_SCENARIOS: Mapping[str, Stress] = MappingProxyType({})
_NO_TAGS: Tags = MappingProxyType({})
_NO_PROXIES: Mapping[str, Proxy] = MappingProxyType({})


def read_market(
    source: Source,
    *,
    window_days: int | None = None,
    scenarios: Mapping[str, Stress] = _NO_SCENARIOS,
    tags: Tags = _NO_TAGS,
    proxies: Mapping[str, Proxy] = _NO_PROXIES,
    align: Align | str = Align.COMMON,
    max_gap_days: int = MAX_GAP_DAYS,
    frequency: Frequency | str = Frequency.DAILY,
) -> MarketSnapshot:
    """Return the market of a table of prices, with one row per day and one column per instrument.

    `source` is a path to a `.csv` or `.parquet` file, or any frame that exports Arrow. The column
    `date` (ISO text, dates or timestamps) increases strictly. The other columns have prices above
    zero, in base currency per unit. The prices of the last row are those of the market, and its
    date is `as_of`; for an instrument without a price there, its last one is used if it is at most
    `max_gap_days` old, and a finding names it. A date without a time means midnight UTC.

    Returns are simple, from the previous price of an instrument to that of the row: the first row
    has no return. A missing price means that the instrument did not trade; no price is ever filled:
    a portfolio is computed on the dates on which all its instruments trade. A return over more than
    `max_gap_days` calendar days is left out. `window_days` keeps the last returns of a portfolio;
    its window is short if it has far fewer. With `align="drop"` a missing price makes the return of
    its row and that of the next row NaN. A row has its own date, in its own time zone; rows without
    any price are left out.

    `frequency` is the time between rows: a row of "weekly" prices is 5 trading days and one of
    "monthly" prices 21, and horizons are multiples of these; of "hourly" prices the last row of
    each date is used. Rows that are not daily are refused without it.

    `proxies` gives instruments returns before their first price: {"MSFT": "SPY"} those of SPY,
    {"MSFT": {"sector": "technology"}} the mean of the other instruments with this tag.

    Raises `InputFileError` with file, line and column; `InvalidMarketError` for an invalid frame,
    `window_days`, scenario, tag or proxy.
    """
    if window_days is not None:
        require_whole(window_days, "window_days", InvalidMarketError, least=1)
    align = require_choice(align, Align, "align", InvalidMarketError)
    frequency = require_choice(frequency, Frequency, "frequency", InvalidMarketError)
    require_whole(max_gap_days, "max_gap_days", InvalidMarketError, least=1)
    table = read_table(source, frame_error=InvalidMarketError)
    table.require("date")
    instruments = [name for name in table.names if name != "date"]
    if not instruments:
        raise table.refuse(
            "The table has no price column.", remedy="Give one column per instrument."
        )
    _refuse_fields(table, instruments)
    moments = read_dates(table, "date")
    prices = np.column_stack([_prices(table, name) for name in instruments])
    kept = _rows_of_days(table, moments, prices, frequency)
    moments, days = [moments[row] for row in kept], [moments[row].date() for row in kept]
    rows = _Rows(table, instruments, kept, days, prices[kept])
    rows.check_frequency(frequency)
    if align is Align.COMMON:
        market = rows.aligned(moments[-1], window_days, max_gap_days, frequency.row_days)
    else:
        rows.check_last()
        n = len(kept) - 1 if window_days is None else min(window_days, len(kept) - 1)
        returns = _finite(table, instruments, kept, rows.prices[1:] / rows.prices[:-1] - 1.0)
        market = MarketSnapshot(
            moments[-1],
            instruments,
            rows.prices[-1],
            returns[len(returns) - n :],
            dates=days[len(days) - n :],
            window_days=window_days,
            row_days=frequency.row_days,
        )
    return with_proxies(replace(market, scenarios=scenarios, tags=tags), proxies)


def _rows_of_days(
    table: Table, moments: list[datetime], prices: FloatArray2D, frequency: Frequency
) -> list[int]:
    """Return the rows that have a price: the only ones of their dates, or the last if hourly."""
    kept: dict[date, int] = {}
    last = moments[-1].date()
    for row, moment in enumerate(moments):
        day = moment.date()
        if frequency is not Frequency.HOURLY and day in kept:
            raise table.refuse(
                f"{day} is the date of {table.row_name(kept[day])} too.",
                row=row,
                column="date",
                remedy='Give one row per date, or frequency="hourly" to use the last of each date.',
            )
        if day == last or not np.isnan(prices[row]).all():
            kept[day] = row
    rows = list(kept.values())
    for before, row in pairwise(rows):
        if moments[row].date() < moments[before].date():
            raise table.refuse(
                f"The date {moments[row].date()} is before that of {table.row_name(before)}.",
                row=row,
                column="date",
                remedy="Give all dates in one time zone.",
            )
    return rows


@dataclass(frozen=True)
class _Rows:
    """The rows of a table that are used: their indices, dates and prices (rows, n)."""

    table: Table
    instruments: list[str]
    indices: list[int]
    days: list[date]
    prices: FloatArray2D

    def check_frequency(self, frequency: Frequency) -> None:
        """Refuse rows, or prices of an instrument, that are not as far apart as `frequency`."""
        self._check_days(frequency, self.days, None)
        for name, column in zip(self.instruments, self.prices.T, strict=True):
            missing = np.isnan(column)
            if missing.any():
                own = [
                    day for day, gone in zip(self.days, missing.tolist(), strict=True) if not gone
                ]
                self._check_days(frequency, own, name)

    def _check_days(self, frequency: Frequency, days: list[date], column: str | None) -> None:
        gaps = np.diff(np.array(days, dtype="datetime64[D]").astype(np.int64))
        if len(gaps) < _FEWEST_GAPS:
            return
        median = int(np.quantile(gaps, 0.5, method="lower"))
        least, most = _GAPS[frequency]
        n_wide = int((gaps >= _WIDE_GAP).sum())
        mixed = least == 1 and n_wide >= _FEWEST_GAPS and n_wide > _MOST_WIDE * len(gaps)
        if least <= median <= most and not mixed:
            return
        found = f"{n_wide} of {len(gaps)} gaps are {_WIDE_GAP} days or more"
        if not mixed:
            found = f"most are {median} days apart"
        raise self.table.refuse(
            f"The prices are not {frequency}: {found}.",
            column=column or "date",
            remedy="Give prices of one frequency, and name it: daily, weekly or monthly.",
        )

    def check_last(self) -> None:
        _check_last(self.table, self.indices[-1], self.instruments, self.prices[-1])

    def aligned(
        self, as_of: datetime, window_days: int | None, max_gap_days: int, row_days: int
    ) -> MarketSnapshot:
        """Return the market in which a missing price means that the instrument did not trade."""
        prices, days = self.prices, self.days
        traded = ~np.isnan(prices)
        ordinal = np.array(days, dtype="datetime64[D]").astype(np.int64)
        row = np.where(traded, np.arange(len(prices))[:, None], -1)
        before = np.maximum.accumulate(row, axis=0)
        last = before[-1]
        old = (last < 0) | (ordinal[-1] - ordinal[np.maximum(last, 0)] > max_gap_days * row_days)
        if old.any():
            shown = np.where(old, np.nan, 1.0)
            _check_last(self.table, self.indices[-1], self.instruments, shown)
        earlier = before[:-1]
        base = np.take_along_axis(prices, np.maximum(earlier, 0), axis=0)
        base[earlier < 0] = np.nan
        with np.errstate(over="ignore"):
            returns = prices[1:] / base - 1.0
        _finite(self.table, self.instruments, self.indices, returns)
        first = traded.argmax(axis=0)
        # A longer row is further from the next one.
        most_days = max_gap_days if row_days == 1 else max(max_gap_days, 2 * row_days)
        market = MarketSnapshot(
            as_of,
            self.instruments,
            np.take_along_axis(prices, last[None, :], axis=0)[0],
            returns,
            dates=days[1:],
            findings=self._findings(last, ordinal, most_days),
            align=Align.COMMON,
            max_gap_days=most_days,
            first_dates=[days[at] for at in first.tolist()],
            row_days=row_days,
        )
        if window_days is None:
            return market
        if market.has_calendars:
            return replace(market, window_days=window_days)
        kept = slice(max(0, len(returns) - window_days), None)
        return replace(
            market,
            returns=returns[kept],
            dates=days[1:][kept],
            first_dates=None,
            window_days=window_days,
        )

    def _findings(
        self, last: npt.NDArray[np.int64], ordinal: npt.NDArray[np.int64], most_days: int
    ) -> tuple[DataFinding, ...]:
        found = [
            DataFinding(
                kind=FindingKind.MISSING_LAST_PRICE,
                instrument=self.instruments[i],
                detail=f"no price on {self.days[-1]}: that of {self.days[last[i]]} is used",
            )
            for i in np.flatnonzero(last < len(self.days) - 1).tolist()
        ]
        long = np.flatnonzero(np.diff(ordinal) > most_days).tolist()
        if long:
            detail = f"{len(long)} rows are more than {most_days} days after the row before, "
            detail += f"the last on {self.days[long[-1] + 1]}: their returns are left out"
            found.append(DataFinding(kind=FindingKind.DROPPED_ROWS, detail=detail))
        return tuple(found)


#: with fewer gaps between dates the frequency is not judged
_FEWEST_GAPS = 5
#: by frequency: the least and the largest median of the calendar days from one row to the next
_GAPS = {
    Frequency.HOURLY: (1, 1),
    Frequency.DAILY: (1, 1),
    Frequency.WEEKLY: (5, 8),
    Frequency.MONTHLY: (26, 33),
}
#: Prices with a larger share of gaps of this many days or more are not daily: a weekend is a gap of
#: 3 days, and 1 of 100 gaps of daily prices is as wide.
_WIDE_GAP, _MOST_WIDE = 5, 0.05


#: columns of the history of one instrument; no exchange has an instrument with one of the first
_OWN_FIELDS = {"close", "adj close", "adj_close", "adjclose", "volume"}
_FIELDS = _OWN_FIELDS | {"open", "high", "low"}


def _refuse_fields(table: Table, instruments: list[str]) -> None:
    """Refuse the history of one instrument, whose columns would be read as several instruments."""
    fields = [name for name in instruments if name.strip().lower() in _FIELDS]
    if len(fields) > 1 and any(name.strip().lower() in _OWN_FIELDS for name in fields):
        raise table.refuse(
            f"{', '.join(fields)} look like prices and volumes of one instrument.",
            column=fields[0],
            remedy="Give one column of prices per instrument, named after the instrument.",
        )


def _prices(table: Table, instrument: str) -> FloatArray1D:
    prices = table.numbers(instrument)
    wrong = prices <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.refuse(
            f"The price is {prices[row]:g}: a return over a price of zero or less has no meaning.",
            row=row,
            column=instrument,
            remedy="Correct the price. If it is right, remove the instrument from the table.",
        )
    return prices


def _check_last(table: Table, row: int, instruments: list[str], prices: FloatArray1D) -> None:
    missing = np.isnan(prices)
    if missing.any():
        raise table.refuse(
            "The last price is missing: the last row needs a price for each instrument.",
            row=row,
            column=instruments[int(np.argmax(missing))],
            remedy="Complete the last row, or remove the instrument.",
        )


def _finite(
    table: Table, instruments: list[str], indices: list[int], returns: FloatArray2D
) -> FloatArray2D:
    if np.isinf(returns).any():
        row, column = np.argwhere(np.isinf(returns))[0]
        raise table.refuse(
            "The return from the previous price is too large for a float64.",
            row=indices[int(row) + 1],
            column=instruments[column],
            remedy="Correct one of the two prices.",
        )
    return returns
