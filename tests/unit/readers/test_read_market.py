"""Price files become a market, or an error that names the place."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from risk_tasks.errors import InputFileError, InvalidMarketError
from risk_tasks.model.scenario import Scenario
from risk_tasks.readers import read_market

PRICES = "date,AAPL,XOM\n2022-12-23,100,50\n2022-12-27,110,40\n2022-12-28,99,44\n"


def test_prices_become_simple_returns(write):
    """Each return is a price over the previous one, minus one, oldest first."""
    market = read_market(write("prices.csv", PRICES))

    assert market.instruments == ("AAPL", "XOM")
    assert market.prices.tolist() == [99.0, 44.0]
    np.testing.assert_allclose(market.returns, [[0.1, -0.2], [-0.1, 0.1]], rtol=1e-14)


def test_as_of_is_midnight_utc_of_the_last_date(write):
    """A date without a time."""
    market = read_market(write("prices.csv", PRICES))

    assert market.as_of == datetime(2022, 12, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "as_of"),
    [
        ("2022-12-28T16:00:00", datetime(2022, 12, 28, 16, tzinfo=UTC)),
        ("2022-12-28 16:00:00-05:00", datetime(2022, 12, 28, 21, tzinfo=UTC)),
        ("2022-12-28T16:00:00Z", datetime(2022, 12, 28, 16, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_kept_in_utc(write, last, as_of):
    """A time with a zone is converted, and one without is in UTC."""
    market = read_market(write("prices.csv", f"date,AAPL\n2022-12-27,1\n{last},2\n"))

    assert market.as_of == as_of


def test_a_missing_price_makes_two_returns_nan(write):
    """The return of that day and that of the next."""
    text = "date,A,B\n2022-01-03,1,1\n2022-01-04,,1\n2022-01-05,1,1\n2022-01-06,1,1\n"

    market = read_market(write("prices.csv", text), align="drop")

    assert np.isnan(market.returns[:, 0]).tolist() == [True, True, False]
    assert not np.isnan(market.returns[:, 1]).any()


@pytest.mark.parametrize(("window_days", "kept"), [(1, 1), (2, 2), (3, 2), (None, 2)])
def test_a_window_keeps_the_last_returns(write, window_days, kept):
    """A window longer than the file keeps all of them."""
    path = write("prices.csv", PRICES)

    market = read_market(path, window_days=window_days)

    assert market.n_observations == kept
    assert market.returns.tolist() == read_market(path).returns[-kept:].tolist()


@pytest.mark.parametrize("window_days", [0, -1, 1.5, True, "250"])
def test_a_window_must_be_a_number_of_days(write, window_days):
    """One or more; the remedy is about the window, not about prices."""
    with pytest.raises(InvalidMarketError) as caught:
        read_market(write("prices.csv", PRICES), window_days=window_days)

    assert caught.value.field == "window_days"
    assert caught.value.remedy == "Give an integer, such as 1."


def test_one_row_is_a_market_without_history(write):
    """Prices value a portfolio; measures of risk need a history."""
    market = read_market(write("prices.csv", "date,AAPL\n2022-12-28,99\n"))

    assert market.prices.tolist() == [99.0]
    assert market.returns.shape == (0, 1)


@pytest.mark.parametrize(("window_days", "kept"), [(None, 2), (1, 1)])
def test_a_return_has_the_date_of_its_row(write, window_days, kept):
    """The first row has no return; a window keeps the last."""
    market = read_market(write("prices.csv", PRICES), window_days=window_days)
    days = [line.split(",")[0] for line in PRICES.split()[1:]]

    assert [day.isoformat() for day in market.dates] == days[-kept:]


def test_two_rows_of_one_date_are_refused_by_name(write):
    """Both lines are named; `frequency="hourly"` reads the last of each date."""
    rows = "2022-12-26,1\n2022-12-27T10:00:00,1\n2022-12-27T16:00:00,2\n2022-12-28,3\n"
    path = write("prices.csv", f"date,AAPL\n{rows}")

    with pytest.raises(InputFileError) as caught:
        read_market(path)

    assert caught.value.field == "prices.csv, line 4, column date"
    assert "line 3" in caught.value.message
    closes = read_market(path, frequency="hourly")
    assert closes.dates == (date(2022, 12, 27), date(2022, 12, 28))
    assert closes.returns.ravel().tolist() == [1.0, 0.5]


@pytest.mark.parametrize("offset", ["-05:00", "+00:00", "+02:00", "+11:00"])
def test_a_row_has_the_date_of_its_own_zone(write, offset):
    """Midnight east of Greenwich is the day before in UTC, but the row's date is its own."""
    rows = "".join(f"2022-12-{day}T00:00:00{offset},{day}\n" for day in (26, 27, 28))

    market = read_market(write("prices.csv", f"date,AAPL\n{rows}"))

    assert market.dates == (date(2022, 12, 27), date(2022, 12, 28))
    assert market.as_of == datetime.fromisoformat(f"2022-12-28T00:00:00{offset}")


def _daily(n):
    """Weekdays from Monday 2023-01-02 on."""
    return [date(2023, 1, 2) + timedelta(7 * (i // 5) + i % 5) for i in range(n)]


def _csv(days, **columns):
    lines = [",".join(["date", *columns])]
    for row, day in enumerate(days):
        lines.append(",".join([str(day), *(str(column[row]) for column in columns.values())]))
    return "\n".join(lines)


def test_rows_without_any_price_do_not_count(write):
    """A grid of calendar days with empty weekends is the table without them."""
    days = [date(2023, 1, 6) + timedelta(i) for i in range(20)]
    prices = [100.0 + i % 7 for i in range(20)]
    closed = [day.weekday() >= 5 for day in days]
    grid = _csv(days, A=["" if off else price for off, price in zip(closed, prices, strict=True)])
    kept = [i for i, off in enumerate(closed) if not off]
    plain = _csv([days[i] for i in kept], A=[prices[i] for i in kept])

    assert read_market(write("grid.csv", grid)).id == read_market(write("plain.csv", plain)).id


def test_a_return_spans_the_gap_to_the_previous_price(write):
    """The price of Monday is compared with that of Friday, and no price is filled."""
    days = [date(2023, 1, 6) + timedelta(i) for i in range(4)]

    market = read_market(write("p.csv", _csv(days, A=[100.0, "", "", 110.0], B=[1.0, 2, 4, 8])))

    assert np.isnan(market.returns[:2, 0]).all()
    assert market.returns[2].tolist() == [pytest.approx(0.1), 1.0]
    assert market.has_calendars


def test_a_missing_last_price_is_that_of_an_earlier_row_and_is_named(write):
    days = _daily(3)
    path = write("p.csv", _csv(days, A=[100.0, 101.0, ""], B=[1.0, 2.0, 4.0]))

    market = read_market(path)

    assert market.prices.tolist() == [101.0, 4.0]
    assert [(one.kind, one.instrument) for one in market.findings] == [("missing_last_price", "A")]
    with pytest.raises(InputFileError):
        read_market(path, align="drop")


def test_a_first_return_over_a_long_gap_is_named_and_left_out(write):
    market = read_market(write("p.csv", "date,A\n2024-01-02,100\n2024-03-04,150\n2024-03-05,149\n"))

    assert market.has_calendars
    assert [one.kind for one in market.findings] == ["dropped_rows"]


@pytest.mark.parametrize(("step", "frequency"), [(7, "weekly"), (30, "monthly")])
def test_rows_that_are_not_daily_are_refused_without_their_frequency(write, step, frequency):
    days = [date(2020, 1, 1) + timedelta(step * i) for i in range(40)]
    path = write("p.csv", _csv(days, A=[100.0 + i for i in range(40)]))

    with pytest.raises(InputFileError, match="not daily"):
        read_market(path)
    assert (
        read_market(path, frequency=frequency).row_days == {"weekly": 5, "monthly": 21}[frequency]
    )


def test_a_weekly_column_among_daily_ones_is_refused_by_name(write):
    days = _daily(100)
    weekly = [100.0 + i if i % 5 == 0 or i == 99 else "" for i in range(100)]

    with pytest.raises(InputFileError) as caught:
        read_market(write("p.csv", _csv(days, A=[1.0 + i for i in range(100)], W=weekly)))

    assert caught.value.field == "p.csv, column W"


@pytest.mark.parametrize("closed", [0, 10], ids=["weekdays", "Golden Week"])
def test_daily_prices_with_holidays_are_daily(write, closed):
    days = [
        day
        for day in _daily(120)
        if not date(2023, 4, 28) < day <= date(2023, 4, 28) + timedelta(closed)
    ]

    market = read_market(write("p.csv", _csv(days, A=[1.0 + i for i in range(len(days))])))

    assert market.n_observations == len(days) - 1


def test_tags_are_those_given(write):
    """An instrument without prices is an error of the argument, not of the file."""
    path = write("prices.csv", PRICES)

    assert read_market(path, tags={"AAPL": {"a": "b"}}).tags == {"AAPL": {"a": "b"}}
    with pytest.raises(InvalidMarketError) as caught:
        read_market(path, tags={"GOLD": {"a": "b"}})
    assert caught.value.field == "tags['GOLD']"


def test_scenarios_are_those_given(write):
    """Scenarios pass into the market as they are."""
    scenarios = {"fall": Scenario({}, others=-0.2)}

    market = read_market(write("prices.csv", PRICES), scenarios=scenarios)

    assert dict(market.scenarios) == scenarios


def test_invalid_scenarios_are_an_error_of_the_argument(write):
    """Not of the file."""
    with pytest.raises(InvalidMarketError) as caught:
        read_market(write("prices.csv", PRICES), scenarios={"fall": -0.2})

    assert caught.value.field == "scenarios['fall']"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PRICES.encode(),
        PRICES.replace("\n", "\r\n").encode(),
        PRICES.replace("\n", "\n\n").encode(),
        PRICES.replace(",", " , ").encode(),
        PRICES.rstrip("\n").encode(),
        PRICES.replace("110", '"110"').encode(),
    ],
    ids=["bom", "crlf", "blank lines", "blanks", "no last newline", "quotes"],
)
def test_csv_dialects_are_read_the_same(write, content):
    """With a byte order mark, Windows line ends, blank lines, blanks and quotes."""
    market = read_market(write("prices.csv", content))

    assert market.id == read_market(write("plain.csv", PRICES)).id


def test_a_file_name_may_be_in_capitals_and_the_path_a_text(write):
    """PRICES.CSV is a CSV file."""
    assert read_market(str(write("PRICES.CSV", PRICES))).instruments == ("AAPL", "XOM")


def test_parquet_is_read_like_csv(write, tmp_path):
    """The same prices have the same id from either kind of file."""
    path = tmp_path / "prices.parquet"
    dates = [datetime(2022, 12, day) for day in (23, 27, 28)]
    table = pa.table({"date": dates, "AAPL": [100, 110, 99], "XOM": [50.0, 40.0, 44.0]})
    pq.write_table(table, path)

    assert read_market(path).id == read_market(write("prices.csv", PRICES)).id


BAD_CSV = {
    "text for a price": ("date,A\n2022-01-03,abc\n", "prices.csv, line 2, column A", "'abc'"),
    "thousands separator": ('date,A\n2022-01-03,"1,000"\n', "line 2, column A", "'1,000'"),
    "nan": ("date,A\n2022-01-03,1\n2022-01-04,NaN\n2022-01-05,1\n", "line 3, column A", "finite"),
    "infinity": ("date,A\n2022-01-03,inf\n", "prices.csv, line 2, column A", "finite"),
    "zero": ("date,A\n2022-01-03,0\n", "prices.csv, line 2, column A", "zero or less"),
    "negative": ("date,A\n2022-01-03,-1\n", "prices.csv, line 2, column A", "zero or less"),
    "bad after blank lines": ("\ndate,A\n\n2022-01-03,x\n", "prices.csv, line 4, column A", "'x'"),
    "bad after a quoted line end": (
        'date,A\n2022-01-03,"1\n"\n2022-01-04,x\n',
        "prices.csv, line 4, column A",
        "'x'",
    ),
    "last price missing": (
        "date,A,B\n2022-01-03,1,\n2022-01-04,1,\n",
        "prices.csv, line 3, column B",
        "last price is missing",
    ),
    "date repeated": (
        "date,A\n2022-01-03,1\n2022-01-03,1\n",
        "prices.csv, line 3, column date",
        "the same as the date of line 2",
    ),
    "dates unsorted": (
        "date,A\n2022-01-04,1\n2022-01-03,1\n",
        "prices.csv, line 3, column date",
        "before the date of line 2",
    ),
    "no such day": ("date,A\n2022-02-30,1\n", "prices.csv, line 2, column date", "not a date"),
    "date in another order": ("date,A\n03/01/2022,1\n", "line 2, column date", "not a date"),
    "date beyond what UTC holds": ("date,A\n0001-01-01T00:00+10:00,1\n", "line 2", "not a date"),
    "date missing": ("date,A\n,1\n", "prices.csv, line 2, column date", "date is missing"),
    "no date column": ("Date,A\n2022-01-03,1\n", "prices.csv", "Nearest: Date"),
    "semicolons": ("date;A\n2022-01-03;1\n", "prices.csv", "Found: date;A"),
    "no price column": ("date\n2022-01-03\n", "prices.csv", "no price column"),
    "instrument twice": ("date,A,A\n2022-01-03,1,1\n", "prices.csv, column A", "appears twice"),
    "column without name": ("date,A,\n2022-01-03,1,1\n", "prices.csv", "Column 3 has no name"),
    "cell too many": (
        "date,A\n\n2022-01-03,1\n2022-01-04,1,2\n",
        "prices.csv, line 4",
        "3 cells, but the header has 2",
    ),
    "cell too few": ("date,A,B\n2022-01-03,1\n", "prices.csv, line 2", "2 cells"),
    "header only": ("date,A\n", "prices.csv", "no rows"),
    "header only, line not ended": ("date,A", "prices.csv", "no rows"),
    "blank": (" \n\n", "prices.csv", "empty"),
    "empty": ("", "prices.csv", "empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "prices.csv", "empty"),
    "latin-1": (b"date,A\n2022-01-03,1\n2022-01-04,\xa31\n", "prices.csv, line 3", "0xa3"),
    "utf-16": (PRICES.encode("utf-16"), "prices.csv, line 1", "not UTF-8"),
    "binary": (bytes(range(1, 128)), "prices.csv", ""),
    "return beyond numbers": (
        "date,A\n2022-01-03,1e-300\n2022-01-04,1e300\n",
        "prices.csv, line 3, column A",
        "too large for a float64",
    ),
}


@pytest.mark.parametrize("price", ["0", "-37.63"])
def test_the_remedy_for_a_price_of_zero_or_less_keeps_the_move(tmp_path, price):
    """It never tells to empty the cell: the largest loss would be missing from the history."""
    path = tmp_path / "prices.csv"
    path.write_text(f"date,A\n2022-01-03,10\n2022-01-04,{price}\n2022-01-05,12\n")

    with pytest.raises(InputFileError) as caught:
        read_market(path)

    assert caught.value.field == "prices.csv, line 3, column A"
    assert "empty" not in caught.value.remedy
    assert "Correct the price" in caught.value.remedy


@pytest.mark.parametrize(("content", "field", "message"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_an_invalid_price_file_is_refused_at_its_place(write, content, field, message):
    """The error names the file, and if known the line and the column."""
    with pytest.raises(InputFileError) as caught:
        read_market(write("prices.csv", content))

    assert field in caught.value.field
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "missing", "nul\0.csv", "."])
def test_a_path_without_a_file_is_refused_with_the_path(tmp_path, name):
    """A missing file and a directory."""
    with pytest.raises(InputFileError) as caught:
        read_market(tmp_path / name)

    assert str(tmp_path / name) in caught.value.field
    assert "cannot be read" in caught.value.message


def test_a_directory_instead_of_a_file_is_refused(tmp_path):
    """The error states that it is a directory."""
    path = tmp_path / "prices.csv"
    path.mkdir()

    with pytest.raises(InputFileError, match="directory"):
        read_market(path)


def test_an_unknown_kind_of_file_is_refused(write):
    """The error lists the known kinds."""
    with pytest.raises(InputFileError, match=r"'.xlsx'.*\.csv or \.parquet"):
        read_market(write("prices.xlsx", "PK"))


def test_a_line_with_a_very_long_cell_is_named(write):
    """By the number of its row, because the csv module cannot read the cell."""
    text = f"date,A\n2022-01-03,1\n2022-01-04,{'x' * 200_000}\n"

    with pytest.raises(InputFileError) as caught:
        read_market(write("prices.csv", text))

    assert caught.value.field == "prices.csv, row 2, column A"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet" * 9])
def test_an_invalid_parquet_file_is_refused(write, content):
    """The error names the file."""
    with pytest.raises(InputFileError) as caught:
        read_market(write("prices.parquet", content))

    assert "prices.parquet" in caught.value.field


def test_a_damaged_parquet_file_is_refused(tmp_path):
    """Pages that cannot be decoded are an error of the file."""
    path = tmp_path / "prices.parquet"
    pq.write_table(pa.table({"date": list(range(1000))}), path)
    data = bytearray(path.read_bytes())
    data[20:200] = b"\xff" * 180
    path.write_bytes(data)

    with pytest.raises(InputFileError, match="not Parquet"):
        read_market(path)


def test_an_invalid_cell_of_a_parquet_file_is_named_by_its_row(tmp_path):
    """Parquet has rows, counted from 0, and no lines."""
    path = tmp_path / "prices.parquet"
    table = pa.table({"date": ["2022-01-03", "2022-01-04"], "A": [1.0, float("nan")]})
    pq.write_table(table, path)

    with pytest.raises(InputFileError) as caught:
        read_market(path)

    assert caught.value.field == "prices.parquet, row 1, column A"


@pytest.mark.parametrize("text", [b"2022-12-27", b"date"])
def test_parquet_with_text_that_is_not_utf8_is_refused(tmp_path, text):
    """A damaged value or column name is an error of the file."""
    path = tmp_path / "prices.parquet"
    pq.write_table(pa.table({"date": ["2022-12-27", "2022-12-28"], "A": [1.0, 2.0]}), path)
    path.write_bytes(path.read_bytes().replace(text, b"\xff" + text[1:]))

    with pytest.raises(InputFileError, match="not Parquet"):
        read_market(path)


@pytest.mark.parametrize(
    "fields",
    ["Open,High,Low,Close,Adj Close,Volume", "close,volume", "AAPL,Close,Volume", "Low,adj_close"],
)
def test_prices_and_volumes_of_one_instrument_are_refused(write, fields):
    """They would be read as instruments, one of them with the moves of a volume."""
    cells = ",".join("1" for _ in fields.split(","))

    with pytest.raises(InputFileError, match="of one instrument"):
        read_market(write("prices.csv", f"date,{fields}\n2022-01-03,{cells}\n2022-01-04,{cells}\n"))


@pytest.mark.parametrize("names", ["OPEN,LOW", "Close", "HIGH,OPEN"])
def test_instruments_with_the_name_of_a_field_are_read(write, names):
    cells = ",".join("1" for _ in names.split(","))

    market = read_market(write("p.csv", f"date,{names}\n2022-01-03,{cells}\n2022-01-04,{cells}\n"))

    assert list(market.instruments) == names.split(",")
