"""Tables of positions, in files and frames, become portfolios."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.errors import InputFileError, InvalidTableError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers import read_portfolios

HEADER = "portfolio_id,instrument,quantity,cash,nav,desk\n"
POSITIONS = HEADER + (
    "core,AAPL,100,1e3,2500.5,equities\n"
    "hedge,XOM,-2.5,,,\n"
    "core,MSFT,+5,1000,2500.5,equities\n"
    "empty,,,7,,core\n"
)
PORTFOLIOS = [
    Portfolio("core", {"AAPL": 100, "MSFT": 5}, cash=1000, nav=2500.5, tags={"desk": "equities"}),
    Portfolio("hedge", {"XOM": -2.5}),
    Portfolio("empty", {}, cash=7, tags={"desk": "core"}),
]
COLUMNS = {
    "portfolio_id": ["core", "hedge", "core", "empty"],
    "instrument": ["AAPL", "XOM", "MSFT", None],
    "quantity": [100.0, -2.5, 5.0, None],
    "cash": [1000.0, None, 1000.0, 7.0],
    "nav": [2500.5, None, 2500.5, None],
    "desk": ["equities", None, "equities", "core"],
}


def test_rows_of_one_portfolio_are_collected(write):
    """Portfolios are in order of first appearance; empty cells are unknown."""
    assert read_portfolios(write("positions.csv", POSITIONS)) == PORTFOLIOS


def test_three_columns_are_enough(write):
    """Cash, nav and tags are optional, and columns may be in any order."""
    text = "quantity,portfolio_id,instrument\n1,p,AAPL\n"

    assert read_portfolios(write("positions.csv", text)) == [Portfolio("p", {"AAPL": 1.0})]


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + POSITIONS.encode(), POSITIONS.replace("\n", "\r\n").encode()],
    ids=["bom", "crlf"],
)
def test_windows_csv_is_read_the_same(write, content):
    """With a byte order mark and Windows line ends."""
    assert read_portfolios(write("positions.csv", content)) == PORTFOLIOS


def categorical(names):
    return pl.Series(names, dtype=pl.Categorical)


@pytest.mark.parametrize(
    "frame",
    [
        pa.table(COLUMNS),
        pl.DataFrame(COLUMNS),
        pl.DataFrame(
            {
                **COLUMNS,
                "portfolio_id": categorical(COLUMNS["portfolio_id"]),
                "desk": categorical(COLUMNS["desk"]),
            }
        ),
        pa.table({**COLUMNS, "instrument": pa.array(COLUMNS["instrument"]).dictionary_encode()}),
        pa.table({**COLUMNS, "instrument": ["AAPL", "XOM", "MSFT", ""]}),
    ],
    ids=["pyarrow", "polars", "polars categorical", "dictionary", "empty text"],
)
def test_any_arrow_frame_is_read_like_the_file(frame):
    """For every library and every encoding of text."""
    assert read_portfolios(frame) == PORTFOLIOS


def test_a_pandas_frame_is_read_like_the_file():
    """NaN is a missing value."""
    import pandas as pd

    assert read_portfolios(pd.DataFrame(COLUMNS)) == PORTFOLIOS


def test_parquet_is_read_like_the_file(tmp_path):
    path = tmp_path / "positions.parquet"
    pq.write_table(pa.table(COLUMNS), path)

    assert read_portfolios(path) == PORTFOLIOS


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1),
        st.dictionaries(
            st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False), min_size=1
        ),
        min_size=1,
    )
)
def test_reading_a_frame_returns_its_content(books):
    """Names and quantities of any kind."""
    rows = [
        (book, name, quantity) for book, held in books.items() for name, quantity in held.items()
    ]
    names = ("portfolio_id", "instrument", "quantity")

    read = read_portfolios(pa.table(dict(zip(names, map(list, zip(*rows)), strict=True))))

    assert {portfolio.id: dict(portfolio.positions) for portfolio in read} == books


def rows(*lines: str) -> str:
    """Return a file of these lines below the header."""
    return HEADER + "".join(f"{line}\n" for line in lines)


BAD_CSV = {
    "quantity a text": (rows("p,A,many,,,"), "positions.csv, line 2, column quantity", "'many'"),
    "quantity nan": (rows("p,A,nan,,,"), "positions.csv, line 2, column quantity", "finite"),
    "quantity infinite": (rows("p,A,1,,,", "p,B,inf,,,"), "line 3, column quantity", "finite"),
    "cash a text": (rows("p,A,1,much,,"), "positions.csv, line 2, column cash", "'much'"),
    "nav infinite": (rows("p,A,1,,-inf,"), "positions.csv, line 2, column nav", "finite"),
    "quantity missing": (rows("p,A,,,,"), "line 2, column quantity", "quantity is missing"),
    "instrument missing": (rows("p,,1,,,"), "line 2, column instrument", "instrument is missing"),
    "portfolio missing": (
        rows(",A,1,,,"),
        "line 2, column portfolio_id",
        "portfolio id is missing",
    ),
    "position twice": (
        rows("p,A,1,,,", "q,A,1,,,", "p,A,2,,,"),
        "positions.csv, line 4, column instrument",
        "A appears twice, here and on line 2",
    ),
    "declared twice": (rows("p,,,,,", "p,,,,,"), "line 3, column instrument", "on line 2"),
    "declared empty, and not": (
        rows("p,A,1,,,", "p,,,,,"),
        "positions.csv, line 3, column instrument",
        "without positions",
    ),
    "cash differs": (
        rows("p,A,1,5,,", "p,B,1,6,,"),
        "positions.csv, line 3, column cash",
        "6.0 differs from 5.0 on line 2",
    ),
    "nav given once": (rows("p,A,1,,9,", "p,B,1,,,"), "line 3, column nav", "None differs"),
    "tag differs": (rows("p,A,1,,,x", "p,B,1,,,y"), "line 3, column desk", "'y' differs"),
    "column missing": (
        "portfolio_id,instrument,qty\np,A,1\n",
        "positions.csv",
        "column quantity is missing",
    ),
    "column nearly named": ("portfolio,instrument,quantity\np,A,1\n", "csv", "Nearest: portfolio."),
    "column twice": ("portfolio_id,instrument,quantity,quantity\np,A,1,1\n", "column quantity", ""),
    "header only": (HEADER, "positions.csv", "no rows"),
    "empty": ("", "positions.csv", "empty"),
    "latin-1": (rows("p,A,1,,,a").encode() + b"K\xf6ln,A,1,,,\n", "line 3", "not UTF-8"),
    "cell too many": (rows("p,A,1,,,x", "p,B,1,000,,,x"), "positions.csv, line 3", "7 cells"),
}


@pytest.mark.parametrize(("content", "field", "message"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_an_invalid_file_of_positions_is_refused_at_its_place(write, content, field, message):
    """The error names file, line and column."""
    with pytest.raises(InputFileError) as caught:
        read_portfolios(write("positions.csv", content))

    assert field in caught.value.field
    assert message in str(caught.value)


BAD_FRAMES = {
    "quantity nan": ({"quantity": [1.0, float("nan"), 1.0, None]}, "row 1, column quantity"),
    "quantity infinite": ({"quantity": [float("inf"), 1, 1, None]}, "row 0, column quantity"),
    "quantity a text": ({"quantity": ["1", "1", "x", None]}, "row 2, column quantity"),
    "quantities true": ({"quantity": [True] * 4}, "column quantity"),
    "position twice": ({"instrument": ["A", "A", "A", None]}, "row 2, column instrument"),
    "instrument missing": ({"instrument": ["A", None, "B", None]}, "row 1, column instrument"),
    "portfolio empty": ({"portfolio_id": ["", "b", "c", "d"]}, "row 0, column portfolio_id"),
    "portfolios as numbers": ({"portfolio_id": [1, 2, 1, 3]}, "column portfolio_id"),
    "tag a number": ({"desk": [1, 2, 1, 3]}, "column desk"),
    "tag differs": ({"desk": ["x", "x", "y", "x"]}, "row 2, column desk"),
}


@pytest.mark.parametrize(("change", "field"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_an_invalid_frame_of_positions_is_refused_at_its_place(change, field):
    """The error names row and column."""
    with pytest.raises(InvalidTableError) as caught:
        read_portfolios(pa.table({**COLUMNS, **change}))

    assert caught.value.field == field
    assert caught.value.remedy != InvalidTableError().remedy


def test_an_invalid_cell_of_parquet_is_refused_with_the_file(tmp_path):
    """Its rows are counted like those of a frame."""
    path = tmp_path / "positions.parquet"
    pq.write_table(pa.table({**COLUMNS, "quantity": ["1", "1", "x", None]}), path)

    with pytest.raises(InputFileError) as caught:
        read_portfolios(path)

    assert caught.value.field == "positions.parquet, row 2, column quantity"


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "missing.toml"])
def test_a_missing_file_is_refused_with_its_path(tmp_path, name):
    """For every kind of file."""
    with pytest.raises(InputFileError) as caught:
        read_portfolios(tmp_path / name)

    assert caught.value.field == str(tmp_path / name)


def test_anything_but_a_path_or_a_frame_is_refused():
    """For example a list."""
    with pytest.raises(InvalidTableError, match="list is neither"):
        read_portfolios([Portfolio("p", {})])


@pytest.mark.parametrize("name", ["NAV", "Nav", " nav "])
def test_nav_is_read_in_any_case(name):
    [one] = read_portfolios(pa.table({**CORE, name: [5.0]}))

    assert one.nav == 5.0
    assert one.tags == {}


def test_two_columns_for_nav_are_refused():
    with pytest.raises(InvalidTableError, match="Both nav and NAV hold the nav"):
        read_portfolios(pa.table({**CORE, "nav": [5.0], "NAV": [5.0]}))


CORE = {"portfolio_id": ["core"], "instrument": ["AAPL"], "quantity": [1.0]}


@pytest.mark.parametrize(
    "name",
    [
        *("aum", "multiplier", "Currency", "market-value", "priceEUR"),
        *("MARKETVALUE", "avgprice", "Prices", "notionals", "px_last", "mkt_val", "DV01"),
    ],
)
def test_a_column_that_looks_like_an_amount_is_a_tag_only_if_it_is_named(name):
    frame = pa.table({**CORE, name: ["x"]})
    with pytest.raises(InvalidTableError, match="looks like an amount") as caught:
        read_portfolios(frame)
    assert name in caught.value.field
    assert "tags=" in caught.value.remedy

    assert read_portfolios(frame, tags=[name])[0].tags == {name: "x"}


@pytest.mark.parametrize(
    "name", ["desk", "region", "strategy", "trader", "asset_class", "custodian", "is_corporate"]
)
def test_an_ordinary_column_is_a_tag(name):
    assert read_portfolios(pa.table({**CORE, name: ["x"]}))[0].tags == {name: "x"}


@pytest.mark.parametrize("name", ["Instrument", "INSTRUMENT", "Portfolio ID", "portfolioId"])
def test_a_second_column_of_instruments_or_portfolios_is_not_a_tag(name):
    with pytest.raises(InvalidTableError, match="attribute of a position"):
        read_portfolios(pa.table({**CORE, name: ["OTHER"]}))


def test_a_column_of_limit_sets_is_refused():
    """Only check_table reads it: a Portfolio does not name its limit set."""
    with pytest.raises(InvalidTableError, match="does not name its limit set"):
        read_portfolios(pa.table({**CORE, "limit_set": ["strict"]}))


def test_tags_of_a_document_cannot_be_named(write):
    """They are explicit in TOML."""
    document = write("book.toml", '[[portfolio]]\nid = "core"\npositions = {}\n')
    with pytest.raises(InputFileError, match="tables of their own"):
        read_portfolios(document, tags=["aum"])


@pytest.mark.parametrize("name", ["side", "Direction", "Long/Short", "buy_sell", "unit", "limits"])
def test_a_column_that_changes_the_meaning_of_a_quantity_is_not_a_tag(name):
    """A book of sales with positive quantities would be checked as a book of purchases."""
    with pytest.raises(InvalidTableError, match="attribute of a position"):
        read_portfolios(pa.table({**CORE, name: ["S"]}))


@pytest.mark.parametrize("other", ["CORE", "Core", "core "])
def test_ids_that_differ_only_in_case_or_spaces_are_refused(other):
    """They are the two halves of one portfolio, each with half of its risk."""
    frame = pa.table(
        {"portfolio_id": ["core", other], "instrument": ["AAPL", "XOM"], "quantity": [1.0, 2.0]}
    )

    with pytest.raises(InvalidTableError, match="only in case or spaces") as refused:
        read_portfolios(frame)

    assert refused.value.field == "row 1, column portfolio_id"


def test_the_index_of_a_filtered_pandas_frame_is_not_a_column():
    """Arrow calls an index without a name `__index_level_0__`."""
    frame = pd.DataFrame(
        {"portfolio_id": ["a", "a"], "instrument": ["AAPL", "XOM"], "quantity": [0.0, 2.0]}
    )

    [one] = read_portfolios(frame[frame.quantity > 0])

    assert (dict(one.positions), one.tags) == ({"XOM": 2.0}, {})
