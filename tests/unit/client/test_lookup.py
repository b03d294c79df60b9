"""Tables of ids are read, and get rows for the ids that are rejected."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client.answers import BEHIND
from risk_tasks.client.lookup import FoundPortfolios, has_ids_only, read_ids
from risk_tasks.errors import InvalidTableError, StaleVersionError, UnknownPortfolioError

FOUND_TYPES = pa.schema(
    [
        ("portfolio_id", pa.string()),
        ("volatility", pa.float64()),
        ("status", pa.string()),
        ("decision", pa.string()),
        ("breach_count", pa.int32()),
        *BEHIND[3:],
    ]
)

BEHIND_FOUND = {
    "code": None,
    "limits_applied": 2,
    "n_observations": 250,
    "window_status": "ok",
    "data_quality": ["jump:XOM"],
}
BEHIND_REFUSED = {
    "limits_applied": 0,
    "n_observations": None,
    "window_status": None,
    "data_quality": [],
}


def row_of(portfolio_id: str, place: int) -> dict[str, object]:
    measured = {"volatility": place / 3, "status": "ok", "decision": "warn"}
    return {"portfolio_id": portfolio_id, **measured, "breach_count": place, **BEHIND_FOUND}


def refused_row(portfolio_id: str, code: str) -> dict[str, object]:
    refused = {"volatility": None, "status": "error", "decision": "reject"}
    return {
        "portfolio_id": portfolio_id,
        **refused,
        "breach_count": 0,
        **BEHIND_REFUSED,
        "code": code,
    }


@given(st.lists(st.sampled_from([None, UnknownPortfolioError(), StaleVersionError()]), max_size=12))
def test_each_rejected_id_has_a_row_at_its_index(errors):
    """Compared with rows that are built one by one."""
    names = [f"p{place}" for place in range(len(errors))]
    expected = [
        row_of(name, place) if error is None else refused_row(name, error.code)
        for place, (name, error) in enumerate(zip(names, errors, strict=True))
    ]
    found = [row for row, error in zip(expected, errors, strict=True) if error is None]
    rejected = {
        place: (names[place], error) for place, error in enumerate(errors) if error is not None
    }

    table = FoundPortfolios([], rejected).merge_rows(
        pa.Table.from_pylist(found, schema=FOUND_TYPES)
    )

    assert table.schema == FOUND_TYPES
    assert table.to_pylist() == expected


def test_a_table_of_ids_alone_names_live_portfolios():
    assert has_ids_only(pa.table({"portfolio_id": ["a"]}))
    assert not has_ids_only(pa.table({"portfolio_id": ["a"], "instrument": ["A"]}))
    assert not has_ids_only(pa.table({"id": ["a"]}))


@pytest.mark.parametrize("encode", [False, True], ids=["plain", "dictionary"])
def test_ids_are_read_once_each_in_order_of_first_appearance(encode):
    column = pa.array(["b", "a", "b", "c", "a"])

    ids = read_ids(
        pa.table({"portfolio_id": column.dictionary_encode() if encode else column}), None
    )

    assert ids == ["b", "a", "c"]
    assert read_ids(pa.table({"portfolio_id": column[:0]}), None) == []


BAD = {
    "null": (pa.array(["a", None]), None, "positions.portfolio_id"),
    "empty": (pa.array(["a", ""]), None, "positions.portfolio_id"),
    "bytes that are not UTF-8": (pa.array([b"\xff"]), None, "positions.portfolio_id"),
    "a second table": (
        pa.array(["a"]),
        pa.table({"portfolio_id": ["a"], "nav": [1.0]}),
        "portfolios",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_an_invalid_table_of_ids_is_refused(what):
    column, portfolios, field = BAD[what]

    with pytest.raises(InvalidTableError) as refused:
        read_ids(pa.table({"portfolio_id": column}), portfolios)

    assert refused.value.field == field
    assert refused.value.remedy
