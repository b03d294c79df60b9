"""Prices from frames of any library with the Arrow interface."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest

from risk_tasks.errors import InvalidMarketError
from risk_tasks.readers import read_market

DAYS = [date(2022, 12, 27), date(2022, 12, 28)]
COLUMNS = {"date": DAYS, "AAPL": [100.0, 110.0], "XOM": [None, 50.0]}


class OnlyArrow:
    """A frame with the Arrow interface and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "frame",
    [
        pa.table(COLUMNS),
        pa.RecordBatch.from_pydict(COLUMNS),
        pl.DataFrame(COLUMNS),
        OnlyArrow(pa.table(COLUMNS)),
        pa.concat_tables([pa.table(COLUMNS).slice(0, 1), pa.table(COLUMNS).slice(1)]),
    ],
    ids=["pyarrow", "record batch", "polars", "other", "chunks"],
)
def test_any_arrow_frame_is_a_market(frame):
    """For every library that makes frames."""
    market = read_market(frame)

    assert market.id == read_market(pa.table(COLUMNS)).id
    assert market.instruments == ("AAPL", "XOM")
    assert market.prices.tolist() == [110.0, 50.0]


def test_a_reader_of_record_batches_is_a_market():
    """It can be read only once."""
    table = pa.table(COLUMNS)

    assert read_market(table.to_reader()).id == read_market(table).id


def test_a_pandas_frame_is_a_market():
    """Dates in the index count as a column, and NaN is a missing price."""
    import pandas as pd

    index = pd.DatetimeIndex(DAYS, name="date")
    frame = pd.DataFrame({"AAPL": [100.0, 110.0], "XOM": [float("nan"), 50.0]}, index=index)

    assert read_market(frame).id == read_market(pa.table(COLUMNS)).id


@pytest.mark.parametrize(
    "dates",
    [
        ["2022-12-27", "2022-12-28"],
        pa.array(["2022-12-27", "2022-12-28"]).cast(pa.large_string()),
        pa.array(DAYS, pa.date64()),
        pa.array(DAYS).cast(pa.timestamp("s")),
        pa.array(DAYS).cast(pa.timestamp("ns", "UTC")),
    ],
    ids=["text", "large text", "date64", "seconds", "nanoseconds in UTC"],
)
def test_dates_of_any_arrow_type_are_read_the_same(dates):
    """Text, dates and timestamps of any resolution."""
    market = read_market(pa.table({**COLUMNS, "date": dates}))

    assert market.id == read_market(pa.table(COLUMNS)).id


@pytest.mark.parametrize("zone", ["Europe/London", "Asia/Tokyo", "Australia/Sydney", "+10:00"])
def test_a_timestamp_with_a_zone_has_the_date_of_that_zone(zone):
    """Also in summer, and east of Greenwich, where midnight is the day before in UTC."""
    days = [date(2023, 7, 3), date(2023, 7, 4)]
    zone_of_row = ZoneInfo(zone) if "/" in zone else timezone(timedelta(hours=10))
    moments = [datetime(day.year, day.month, day.day, tzinfo=zone_of_row) for day in days]
    dates = pa.array(moments, pa.timestamp("ns", zone))

    market = read_market(pa.table({**COLUMNS, "date": dates}))

    assert market.dates == (days[1],)
    assert market.as_of == moments[1]


def test_an_unknown_time_zone_is_refused():
    dates = pa.array([0, 10**6 * 86_400], pa.int64()).cast(pa.timestamp("us", "Mars/Olympus"))

    with pytest.raises(InvalidMarketError, match="Mars/Olympus"):
        read_market(pa.table({**COLUMNS, "date": dates}))


def test_a_timestamp_of_another_zone_is_converted():
    """Four in the afternoon in New York is nine in the evening in UTC."""
    new_york = timezone(timedelta(hours=-5))
    dates = pa.array(
        [datetime(2022, 12, 27, 16, tzinfo=new_york), datetime(2022, 12, 28, 16, tzinfo=new_york)],
        pa.timestamp("us", "America/New_York"),
    )

    market = read_market(pa.table({**COLUMNS, "date": dates}))

    assert market.as_of == datetime(2022, 12, 28, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    "prices",
    [
        [100, 110],
        [Decimal("100.0"), Decimal("110.0")],
        pa.array([100, 110], pa.float32()),
        ["100", "1.1e2"],
    ],
    ids=["integers", "decimals", "float32", "text"],
)
def test_prices_of_any_numeric_type_are_read_the_same(prices):
    """Integers, decimals, and numbers as text."""
    market = read_market(pa.table({**COLUMNS, "AAPL": prices}))

    assert market.id == read_market(pa.table(COLUMNS)).id


BAD_FRAMES = {
    "nan": ({"AAPL": [float("nan"), 1.0]}, "row 0, column AAPL", "finite"),
    "infinity": ({"AAPL": [1.0, float("inf")]}, "row 1, column AAPL", "finite"),
    "text": ({"AAPL": ["1", "abc"]}, "row 1, column AAPL", "'abc'"),
    "large text": (
        {"AAPL": pa.array(["1", "abc"], pa.string_view())},
        "row 1, column AAPL",
        "'abc'",
    ),
    "negative": ({"AAPL": [1.0, -1.0]}, "row 1, column AAPL", "zero or less"),
    "booleans": ({"AAPL": [True, True]}, "column AAPL", "bool, not numbers"),
    "dates for prices": ({"AAPL": DAYS}, "column AAPL", "date32[day], not numbers"),
    "lists": ({"AAPL": [[1.0], [2.0]]}, "column AAPL", "not numbers"),
    "no price at all": ({"AAPL": pa.nulls(2)}, "row 1, column AAPL", "missing"),
    "date repeated": ({"date": [DAYS[0]] * 2}, "row 1, column date", "the date of row 0"),
    "dates unsorted": ({"date": DAYS[::-1]}, "row 1, column date", "before the date of row 0"),
    "date missing": ({"date": [None, DAYS[0]]}, "row 0, column date", "missing"),
    "date missing in text": ({"date": [None, "2022-12-28"]}, "row 0, column date", "missing"),
    "dates as numbers": ({"date": [20221227, 20221228]}, "column date", "not dates"),
    "date out of range": (
        {"date": pa.array([0, 2**40], pa.timestamp("s"))},
        "column date",
        "out of range",
    ),
    "date far out of range": (
        {"date": pa.array([0, 2**62], pa.timestamp("s"))},
        "column date",
        "out of range",
    ),
}


@pytest.mark.parametrize(("change", "field", "message"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_an_invalid_frame_is_refused_at_its_place(change, field, message):
    """The error names row and column."""
    with pytest.raises(InvalidMarketError) as caught:
        read_market(pa.table({**COLUMNS, **change}))

    assert caught.value.field == field
    assert message in str(caught.value)
    assert caught.value.remedy != InvalidMarketError().remedy


def test_a_frame_without_rows_is_refused():
    """A market needs a last row."""
    with pytest.raises(InvalidMarketError, match="no rows"):
        read_market(pa.table(COLUMNS).slice(0, 0))


@pytest.mark.parametrize("frame", [None, 5, {"date": DAYS}, [[1.0]]])
def test_anything_but_a_path_or_a_frame_is_refused(frame):
    """The error names the type."""
    with pytest.raises(InvalidMarketError, match=f"{type(frame).__name__} is neither"):
        read_market(frame)


@pytest.mark.parametrize("frame", [pl.Series([1.0]), pa.chunked_array([[1.0]])])
def test_a_column_instead_of_a_frame_is_refused(frame):
    """It has no named columns."""
    with pytest.raises(InvalidMarketError, match="not a table"):
        read_market(frame)
