"""Tables of positions and of portfolios, from any library and encoding, become one request."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client.table_input import read_tables
from risk_tasks.errors import InvalidTableError
from tests.unit.client.support import TERMS, Row, rows_of

POSITIONS = {
    "portfolio_id": ["core", "hedge", "core", "hedge"],
    "instrument": ["AAPL", "XOM", "MSFT", "AAPL"],
    "quantity": [100.0, -2.5, 5.0, 0.0],
}
CORE = [("AAPL", 100.0), ("MSFT", 5.0)]
HEDGE = [("XOM", -2.5), ("AAPL", 0.0)]
EXPECTED = [Row("core", CORE, None, None, {}), Row("hedge", HEDGE, None, None, {})]


def read(positions, portfolios=None):
    """Return the rows of the request, and the limit sets that they name."""
    request, limit_sets = read_tables(positions, portfolios, TERMS)
    assert request.terms is TERMS
    rows = rows_of(request)
    return rows, [None] * len(rows) if limit_sets is None else limit_sets.to_pylist()


def table(**change):
    """Return the positions with these columns changed; None leaves one out."""
    return pa.table({k: v for k, v in {**POSITIONS, **change}.items() if v is not None})


def encoded(name, index=None):
    """Return a column of the positions, dictionary-encoded."""
    column = pa.array(POSITIONS[name]).dictionary_encode()
    kind = pa.dictionary(index or pa.int32(), pa.string())
    return column.cast(kind)


def chunked():
    """Return the positions in chunks, each with a dictionary of its own."""
    pieces = [table(), table()]
    pieces = [
        pa.table(
            {
                "portfolio_id": piece["portfolio_id"].combine_chunks().dictionary_encode(),
                "instrument": piece["instrument"].combine_chunks().dictionary_encode(),
                "quantity": piece["quantity"],
            }
        )
        for piece in (pieces[0].slice(0, 1), pieces[0].slice(1, 2), pieces[0].slice(3))
    ]
    return pa.concat_tables(pieces)


TABLES = {
    "pyarrow": lambda: pa.table(POSITIONS),
    "record batch": lambda: pa.record_batch(POSITIONS),
    "reader": lambda: pa.table(POSITIONS).to_reader(max_chunksize=1),
    "chunks": lambda: pa.concat_tables([table().slice(0, 3), table().slice(3)]),
    "chunks of other dictionaries": chunked,
    "no rows in a chunk": lambda: pa.concat_tables([table().slice(0, 0), table()]),
    "slice": lambda: pa.concat_tables([table(), table()]).slice(4),
    "dictionaries": lambda: table(
        portfolio_id=encoded("portfolio_id"), instrument=encoded("instrument")
    ),
    "narrow dictionaries": lambda: table(
        portfolio_id=encoded("portfolio_id", pa.int8()),
        instrument=encoded("instrument", pa.uint16()),
    ),
    "dictionary with unused entries": lambda: table(
        portfolio_id=pa.DictionaryArray.from_arrays(
            pa.array([2, 0, 2, 0]), pa.array(["hedge", "none", "core"])
        )
    ),
    "dictionary with a repeated entry": lambda: table(
        portfolio_id=pa.DictionaryArray.from_arrays(
            pa.array([0, 1, 2, 3]), pa.array(["core", "hedge", "core", "hedge"])
        ),
        instrument=pa.DictionaryArray.from_arrays(
            pa.array([0, 1, 2, 3]), pa.array(["AAPL", "XOM", "MSFT", "AAPL"])
        ),
    ),
    "large texts": lambda: table(
        portfolio_id=pa.array(POSITIONS["portfolio_id"], pa.large_string()),
        instrument=pa.array(POSITIONS["instrument"], pa.large_string()),
    ),
    "text views": lambda: table(
        portfolio_id=pa.array(POSITIONS["portfolio_id"], pa.string_view()),
        instrument=pa.array(POSITIONS["instrument"], pa.string_view()),
    ),
    "large dictionaries": lambda: table(
        instrument=pa.array(POSITIONS["instrument"], pa.large_string()).dictionary_encode()
    ),
    "floats of four bytes": lambda: table(quantity=pa.array(POSITIONS["quantity"], pa.float32())),
    "decimals": lambda: table(quantity=pa.array(POSITIONS["quantity"]).cast(pa.decimal128(9, 2))),
    "columns in another order": lambda: pa.table(dict(reversed(POSITIONS.items()))),
    "polars": lambda: pl.DataFrame(POSITIONS),
    "polars categories": lambda: pl.DataFrame(POSITIONS).with_columns(
        pl.col("portfolio_id", "instrument").cast(pl.Categorical)
    ),
    "polars enum": lambda: pl.DataFrame(POSITIONS).with_columns(
        pl.col("portfolio_id").cast(pl.Enum(["hedge", "core"]))
    ),
    "polars in chunks": lambda: pl.concat(
        [pl.DataFrame(POSITIONS)[:2], pl.DataFrame(POSITIONS)[2:]], rechunk=False
    ),
    "mapping": lambda: POSITIONS,
}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES.keys())
def test_any_table_of_positions_is_read_the_same(make):
    """Portfolios in order of first appearance, their positions in order."""
    assert read(make()) == (EXPECTED, [None, None])


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES.keys())
def test_a_long_table_is_read_the_same(make, monkeypatch):
    """Two threads read its two columns of texts."""
    monkeypatch.setattr("risk_tasks.client.table_input.LONG_ROWS", 0)

    assert read(make()) == (EXPECTED, [None, None])


def test_a_pandas_frame_is_read_the_same():
    """With plain and with categorical texts."""
    import pandas as pd

    frame = pd.DataFrame(POSITIONS)

    assert read(frame)[0] == EXPECTED
    assert read(frame.astype({"portfolio_id": "category"}))[0] == EXPECTED


def test_whole_numbers_are_quantities():
    """Signed and unsigned."""
    quantities = pa.array([100, 2, 5, 0], pa.uint8())

    rows, _ = read(table(quantity=quantities))

    assert rows[0].positions == CORE
    assert rows[1].positions == [("XOM", 2.0), ("AAPL", 0.0)]


ABOUT = {
    "portfolio_id": ["hedge", "cash only", "core"],
    "cash": [7.0, 1.5, None],
    "nav": [None, 2.5, 9.0],
    "limit_set": ["strict", None, "lax"],
    "desk": ["rates", None, "eq"],
    "book": [None, "", "b"],
}
ABOUT_ROWS = [
    Row("core", CORE, None, 9.0, {"desk": "eq", "book": "b"}),
    Row("hedge", HEDGE, 7.0, None, {"desk": "rates"}),
    Row("cash only", [], 1.5, 2.5, {"book": ""}),
]
ABOUTS = {
    "pyarrow": lambda: pa.table(ABOUT),
    "polars": lambda: pl.DataFrame(ABOUT),
    "polars categories": lambda: pl.DataFrame(ABOUT).with_columns(
        pl.col("portfolio_id", "limit_set", "desk").cast(pl.Categorical)
    ),
    "dictionaries": lambda: pa.table(
        {
            **ABOUT,
            "portfolio_id": pa.array(ABOUT["portfolio_id"]).dictionary_encode(),
            "limit_set": pa.array(ABOUT["limit_set"]).dictionary_encode(),
            "desk": pa.array(ABOUT["desk"]).dictionary_encode(),
        }
    ),
    "chunks": lambda: pa.concat_tables([pa.table(ABOUT).slice(0, 1), pa.table(ABOUT).slice(1)]),
    "large texts": lambda: pa.table(
        {
            **ABOUT,
            "portfolio_id": pa.array(ABOUT["portfolio_id"], pa.large_string()),
            "limit_set": pa.array(ABOUT["limit_set"], pa.large_string()),
        }
    ),
}


@pytest.mark.parametrize("make", ABOUTS.values(), ids=ABOUTS.keys())
def test_a_table_of_portfolios_has_cash_nav_limit_set_and_tags(make):
    """Rows are matched by id; portfolios that only this table names come last, in its order."""
    rows, limit_sets = read(table(), make())

    assert rows == ABOUT_ROWS
    assert limit_sets == ["lax", "strict", None]


def test_a_table_of_portfolios_may_lack_columns_and_rows():
    """The missing cells are null."""
    about = pa.table({"portfolio_id": ["hedge"], "nav": [3]})

    assert read(table(), about) == (
        [EXPECTED[0], Row("hedge", HEDGE, None, 3.0, {})],
        [None, None],
    )


def test_tables_without_rows_are_requests_without_portfolios():
    """Either table may be empty, or both."""
    empty = table().slice(0, 0)

    assert read(empty) == ([], [])
    assert read(empty, pa.table(ABOUT).slice(0, 0)) == ([], [])
    assert [row.id for row in read(empty, pa.table(ABOUT))[0]] == ABOUT["portfolio_id"]


def test_a_position_with_a_null_is_sent_to_the_worker():
    """The worker rejects its portfolio only; the table is valid."""
    rows, _ = read(
        table(instrument=["AAPL", None, "MSFT", "AAPL"], quantity=[100.0, 1.0, None, 0.0])
    )

    assert rows[0].positions == [("AAPL", 100.0), ("MSFT", None)]
    assert rows[1].positions == [(None, 1.0), ("AAPL", 0.0)]


def test_a_null_in_the_dictionary_is_a_null():
    names = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 0]), pa.array(["AAPL", None, "MSFT"]))

    rows, _ = read(table(instrument=names))

    assert rows[1].positions == [(None, -2.5), ("AAPL", 0.0)]


def test_a_repeated_instrument_is_sent_to_the_worker():
    """Both positions are sent."""
    rows, _ = read(table(portfolio_id=["p"] * 4))

    assert [name for name, _ in rows[0].positions] == ["AAPL", "XOM", "MSFT", "AAPL"]


BAD_POSITIONS = {
    "no portfolio_id": (lambda: table(portfolio_id=None), "positions.portfolio_id"),
    "no instrument": (lambda: table(instrument=None), "positions.instrument"),
    "no quantity": (lambda: table(quantity=None), "positions.quantity"),
    "quantity twice": (
        lambda: pa.Table.from_arrays(
            [*table().columns, table()["quantity"]], [*POSITIONS, "quantity"]
        ),
        "positions.quantity",
    ),
    "null id": (
        lambda: table(portfolio_id=["a", None, "b", None]),
        "positions.portfolio_id",
    ),
    "null id in a dictionary": (
        lambda: table(portfolio_id=pa.array(["a", None, "b", "c"]).dictionary_encode()),
        "positions.portfolio_id",
    ),
    "quantity a word": (lambda: table(quantity=["1", "2", "x", "4"]), "positions.quantity"),
    "quantity a list": (lambda: table(quantity=[[1.0]] * 4), "positions.quantity"),
    "quantity a timestamp": (
        lambda: table(quantity=pa.array([1, 2, 3, 4], pa.timestamp("s"))),
        "positions.quantity",
    ),
    "quantity a boolean": (lambda: table(quantity=[True] * 4), "positions.quantity"),
    "ids lists": (lambda: table(portfolio_id=[["a"]] * 4), "positions.portfolio_id"),
    "instruments lists": (lambda: table(instrument=[["a"]] * 4), "positions.instrument"),
    "ids no utf-8": (lambda: table(portfolio_id=[b"\xff"] * 4), "positions.portfolio_id"),
    "a list": (lambda: [("core", "AAPL", 1.0)], "positions"),
    "None": (lambda: None, "positions"),
    "a text": (lambda: "positions.csv", "positions"),
    "ragged mapping": (lambda: {**POSITIONS, "quantity": [1.0]}, "positions"),
}


@pytest.mark.parametrize(("make", "field"), BAD_POSITIONS.values(), ids=BAD_POSITIONS.keys())
def test_a_bad_table_of_positions_is_refused_by_its_column(make, field):
    """The error names the table and the column."""
    with pytest.raises(InvalidTableError) as caught:
        read(make())

    assert caught.value.field == field
    assert caught.value.remedy


def about(**change):
    """Return the table of portfolios with these columns changed; None leaves one out."""
    return pa.table({k: v for k, v in {**ABOUT, **change}.items() if v is not None})


def about_twice(name):
    """Return the table of portfolios with one column twice."""
    return pa.Table.from_arrays([*about().columns, about()[name]], [*ABOUT, name])


BAD_ABOUTS = {
    "no portfolio_id": (lambda: about(portfolio_id=None), "portfolios.portfolio_id"),
    "portfolio twice": (lambda: about(portfolio_id=["a", "b", "a"]), "portfolios.portfolio_id"),
    "null id": (lambda: about(portfolio_id=["a", None, "b"]), "portfolios.portfolio_id"),
    "ids lists": (lambda: about(portfolio_id=[["a"], ["b"], ["c"]]), "portfolios.portfolio_id"),
    "ids no utf-8": (lambda: about(portfolio_id=[b"\xff", b"b", b"c"]), "portfolios.portfolio_id"),
    "cash a word": (lambda: about(cash=["much", "1", "2"]), "portfolios.cash"),
    "nav a list": (lambda: about(nav=[[1.0]] * 3), "portfolios.nav"),
    "limit set a list": (lambda: about(limit_set=[["a"]] * 3), "portfolios.limit_set"),
    "tag a list": (lambda: about(desk=[["a"]] * 3), "portfolios.desk"),
    "cash twice": (lambda: about_twice("cash"), "portfolios.cash"),
    "limit set twice": (lambda: about_twice("limit_set"), "portfolios.limit_set"),
    "tag twice": (lambda: about_twice("desk"), "portfolios.desk"),
    "a list": (lambda: [1], "portfolios"),
}


@pytest.mark.parametrize(("make", "field"), BAD_ABOUTS.values(), ids=BAD_ABOUTS.keys())
def test_a_bad_table_of_portfolios_is_refused_by_its_column(make, field):
    """The error names the table and the column."""
    with pytest.raises(InvalidTableError) as caught:
        read(table(), make())

    assert caught.value.field == field
    assert caught.value.remedy


def test_the_error_names_the_first_row_without_an_id():
    """Rows are counted from 0."""
    with pytest.raises(InvalidTableError, match="Row 1 has no portfolio_id"):
        read(table(portfolio_id=["a", None, "b", None]))
    with pytest.raises(InvalidTableError, match="Row 2 has no portfolio_id"):
        read(table(), about(portfolio_id=["a", "b", None]))


def with_attributes(**change):
    """The table of positions with cash, nav, limit set and a tag on each row."""
    core = [name == "core" for name in POSITIONS["portfolio_id"]]
    columns = {
        "NAV": [5.0 if one else None for one in core],
        "Cash": [1.0 if one else 2.0 for one in core],
        "limit_set": ["lax" if one else None for one in core],
        "desk": ["equity" if one else "rates" for one in core],
        **change,
    }
    return table(**columns)


def test_attributes_of_portfolios_are_read_from_the_table_of_positions():
    """Names of amounts in any case; null means unknown."""
    request, limit_sets = read_tables(with_attributes(), None, TERMS)
    by_id = {name: index for index, name in enumerate(request.portfolio_ids.to_pylist())}
    core, hedge = by_id["core"], by_id["hedge"]

    nav, cash = request.nav.to_pylist(), request.cash.to_pylist()
    assert (nav[core], nav[hedge]) == (5.0, None)
    assert (cash[core], cash[hedge]) == (1.0, 2.0)
    assert limit_sets[core].as_py() == "lax"
    assert limit_sets[hedge].as_py() is None
    assert request.tags[core] == {"desk": "equity"}
    assert request.tags[hedge] == {"desk": "rates"}


@pytest.mark.parametrize("name", ["NAV", "Cash", "limit_set", "desk"])
def test_an_attribute_that_differs_between_rows_of_a_portfolio_names_both_rows(name):
    rows = [n for n, one in enumerate(POSITIONS["portfolio_id"]) if one == "core"][:2]
    values = with_attributes()[name].to_pylist()
    values[rows[1]] = 7.0 if name in {"NAV", "Cash"} else "other"

    with pytest.raises(InvalidTableError, match=f"Rows {rows[0]} and {rows[1]} ") as caught:
        read_tables(with_attributes(**{name: values}), None, TERMS)

    assert caught.value.field == f"positions.{name}"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [("NAV", "nav"), ("Cash", "cash"), ("limit_set", "limit_set"), ("desk", "desk")],
)
def test_an_attribute_in_both_tables_is_refused(mine, theirs):
    own = with_attributes().select([*POSITIONS, mine])
    with pytest.raises(InvalidTableError, match="Both tables have the column") as caught:
        read_tables(own, about().select(["portfolio_id", theirs]), TERMS)

    assert caught.value.field == f"positions.{mine}"


def test_each_table_may_give_other_attributes():
    own = with_attributes().select([*POSITIONS, "desk"])
    others = pa.table({"portfolio_id": ["core", "empty"], "nav": [9.0, 8.0]})

    request, _ = read_tables(own, others, TERMS)

    found = dict(zip(request.portfolio_ids.to_pylist(), request.nav.to_pylist(), strict=True))
    assert found == {"core": 9.0, "hedge": None, "empty": 8.0}
    assert request.tags[-1] == {}


@pytest.mark.parametrize("name", ["multiplier", "currency", "Market Value", "aum", "price_usd"])
def test_a_column_that_looks_like_an_amount_is_a_tag_only_if_it_is_named(name):
    own = table(**{name: ["x"] * 4})
    with pytest.raises(InvalidTableError, match="looks like an amount") as caught:
        read_tables(own, None, TERMS)
    assert caught.value.field == f"positions.{name}"

    request, _ = read_tables(own, None, TERMS, tags=[name])
    assert request.tags[0] == {name: "x"}


def test_a_named_tag_that_no_table_has_is_refused():
    with pytest.raises(InvalidTableError, match="does not have") as caught:
        read_tables(table(), None, TERMS, tags=["aum"])
    assert caught.value.field == "positions.aum"


def test_a_tag_of_numbers_is_refused():
    """1 and 1.0 would be two tags."""
    with pytest.raises(InvalidTableError, match="expected text"):
        read_tables(table(desk=[1, 1, 1, 1]), None, TERMS)


def test_an_empty_name_of_a_limit_set_never_means_no_limits():
    """An empty cell of a CSV means the default or is refused; it never means "no limits"."""
    empty = about(limit_set=["", "", "lax"])
    try:
        _, limit_sets = read(table(), empty)
    except InvalidTableError as error:
        assert error.field == "portfolios.limit_set"  # noqa: PT017
    else:
        assert limit_sets == ["lax", None, None]


names = st.text(min_size=1, max_size=3)
lines = st.lists(st.tuples(names, names, st.integers(-9, 9).map(float)), max_size=12)


@given(lines, st.booleans(), st.lists(names, unique=True, max_size=4), st.data())
def test_rows_are_grouped_as_a_dictionary_groups_them(lines, as_categories, others, data):
    """Unsorted rows, plain or dictionary-encoded, and portfolios without positions."""
    columns = [[line[place] for line in lines] for place in range(3)]
    ids, instruments = (pa.array(column, pa.string()) for column in columns[:2])
    if as_categories:
        ids, instruments = ids.dictionary_encode(), instruments.dictionary_encode()
    positions = pa.table(
        {
            "portfolio_id": ids,
            "instrument": instruments,
            "quantity": pa.array(columns[2], pa.float64()),
        }
    )
    cash = data.draw(
        st.lists(
            st.none() | st.integers(-9, 9).map(float), min_size=len(others), max_size=len(others)
        )
    )
    about = pa.table(
        {"portfolio_id": pa.array(others, pa.string()), "cash": pa.array(cash, pa.float64())}
    )
    expected: dict[str, list[tuple[str, float]]] = {}
    for name, instrument, quantity in lines:
        expected.setdefault(name, []).append((instrument, quantity))
    for name in others:
        expected.setdefault(name, [])

    rows, _ = read(positions, about)

    known = dict(zip(others, cash, strict=True))
    assert rows == [Row(of, held, known.get(of), None, {}) for of, held in expected.items()]


@pytest.mark.parametrize("other", ["A", " a"])
def test_ids_that_differ_only_in_case_or_spaces_are_refused(other):
    """In one table, and in two: tags of `A` would not be those of `a`."""
    rows = {"portfolio_id": ["a", other], "instrument": ["X", "Y"], "quantity": [1.0, 1.0]}
    with pytest.raises(InvalidTableError, match="only in case or spaces"):
        read_tables(pa.table(rows), None, TERMS)

    rows["portfolio_id"] = ["a", "a"]
    beside = pa.table({"portfolio_id": [other], "nav": [1.0]})
    with pytest.raises(InvalidTableError, match="only in case or spaces"):
        read_tables(pa.table(rows), beside, TERMS)


@pytest.mark.parametrize("name", ["Limit_Set", "LIMIT_SET", "limit_set "])
def test_the_limit_set_is_read_in_any_case(name):
    """As a tag it would leave its portfolio to the limits of the call."""
    rows = {"portfolio_id": ["a"], "instrument": ["X"], "quantity": [1.0]}

    _, limit_sets = read_tables(
        pa.table(rows), pa.table({"portfolio_id": ["a"], name: ["strict"]}), TERMS
    )

    assert limit_sets.to_pylist() == ["strict"]


def test_the_index_of_a_filtered_pandas_frame_is_not_a_column():
    frame = pd.DataFrame({"portfolio_id": ["a", "b"], "instrument": "X", "quantity": [0.0, 2.0]})

    request, _ = read_tables(frame[frame.quantity > 0], None, TERMS)

    assert request.portfolio_ids.to_pylist() == ["b"]
