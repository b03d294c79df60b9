"""Read a market snapshot from a table of prices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType

import numpy as np

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.market import FloatArray1D, FloatArray2D, MarketSnapshot
from risk_tasks.model.proxies import Proxy, with_proxies
from risk_tasks.model.scenario import Stress, Tags
from risk_tasks.model.values import require_whole
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
) -> MarketSnapshot:
    """Return the market of a table of prices, with one row per day and one column per instrument.

    `source` is a path to a `.csv` or `.parquet` file, or any frame that exports Arrow. The column
    `date` (ISO text, dates or timestamps) increases strictly. The other columns have prices above
    zero, in base currency per unit. The last row is complete: its prices are those of the market,
    and its date is `as_of`. A date without a time means midnight UTC.

    Returns are simple, from one row to the next: shape (rows - 1, instruments). `window_days` keeps
    at most this number of returns, the last ones. A missing price makes the return of its row and
    that of the next row NaN. A return has the date of its row, in UTC; if two rows have the same
    day, the market has no dates.

    `proxies` gives instruments returns before their first price: {"MSFT": "SPY"} those of SPY,
    {"MSFT": {"sector": "technology"}} the mean of the other instruments with this tag.

    Raises `InputFileError` with file, line and column; `InvalidMarketError` for an invalid frame,
    `window_days`, scenario, tag or proxy.
    """
    if window_days is not None:
        require_whole(window_days, "window_days", InvalidMarketError, least=1)
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
    _check_last(table, instruments, prices[-1])
    returns = _simple_returns(table, instruments, prices)
    if window_days is not None:
        returns = returns[-window_days:]
    market = MarketSnapshot(
        moments[-1],
        instruments,
        prices[-1],
        returns,
        scenarios=scenarios,
        dates=_days(moments, len(returns)),
        tags=tags,
    )
    return with_proxies(market, proxies)


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


def _days(moments: list[datetime], n_observations: int) -> list[date] | None:
    days = [moment.date() for moment in moments[len(moments) - n_observations :]]
    return days if len(set(days)) == len(days) else None


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


def _check_last(table: Table, instruments: list[str], prices: FloatArray1D) -> None:
    missing = np.isnan(prices)
    if missing.any():
        raise table.refuse(
            "The last price is missing: the last row needs a price for each instrument.",
            row=table.columns.num_rows - 1,
            column=instruments[int(np.argmax(missing))],
            remedy="Complete the last row, or remove the instrument.",
        )


def _simple_returns(table: Table, instruments: list[str], prices: FloatArray2D) -> FloatArray2D:
    with np.errstate(over="ignore"):
        returns = prices[1:] / prices[:-1] - 1.0
    if np.isinf(returns).any():
        row, column = np.argwhere(np.isinf(returns))[0]
        raise table.refuse(
            "The return from the previous row is too large for a float64.",
            row=int(row) + 1,
            column=instruments[column],
            remedy="Correct one of the two prices.",
        )
    return returns
