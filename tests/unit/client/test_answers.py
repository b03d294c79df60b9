"""Answers of blocks as one table, and their breaches as another."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from risk_tasks.client.answers import answer_table, breach_table, decode_tables
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import parse_measures
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.report import GRAVITY, Breach, Contributor, ReportError
from risk_tasks.wire.answer import AnswerBlock, AnswerHead, decode_answer, encode_answer

NAN = float("nan")
MEASURES = parse_measures(["volatility", "value_at_risk@0.95", "concentration"])
COLUMNS = ["volatility", "value_at_risk@0.95", "concentration"]


def column(*cells):
    """Return a column of `(value, outcome)`."""
    return MeasureColumn(
        np.array([value for value, _ in cells]), np.array([of for _, of in cells], dtype=np.int8)
    )


def breach(limit):
    """Return a breach of this limit."""
    return Breach(
        limit=limit,
        measure="volatility",
        observed=2.0,
        threshold=1.0,
        unit="ccy",
        utilisation=None,
        severity="hard",
        contributors=(Contributor("AAPL", 1.5, None), Contributor("XOM", 0.5, 0.25)),
    )


def ranks(*decisions):
    """Decisions as places in `GRAVITY`."""
    return np.array([GRAVITY.index(decision) for decision in decisions], np.int8)


FIRST = AnswerBlock(
    AnswerHead(),
    ranks("accept", "reject"),
    np.array([0, 2], np.int32),
    {
        "volatility": column((2.0, Outcome.OK), (NAN, Outcome.WINDOW_TOO_SHORT)),
        "value_at_risk@0.95": column((-1.0, Outcome.NEGATIVE_VAR), (NAN, Outcome.NOT_FINITE)),
        "concentration": column((0.0, Outcome.ZERO_GROSS), (0.5, Outcome.OK)),
        "gross_exposure": column((1.0, Outcome.OK), (1.0, Outcome.OK)),
    },
    breaches={1: [breach("a"), breach("b")]},
    limits_applied=np.array([3, 2], np.int32),
    n_observations=np.array([250, 90]),
    short=np.array([False, True]),
    data_quality={
        1: (
            DataFinding(kind="short_window", detail="90 of 250"),
            DataFinding(kind="jump", instrument="XOM", detail="x10"),
        )
    },
)
REFUSED = AnswerBlock(
    AnswerHead(),
    ranks("reject"),
    np.zeros(1, np.int32),
    {},
    errors={0: ReportError(code="no_market", message="No.")},
)
LAST = AnswerBlock(
    AnswerHead(),
    ranks("warn"),
    np.array([1], np.int32),
    {name: column((3.0, Outcome.OK)) for name in COLUMNS},
    breaches={0: [breach("c")]},
)
IDS = ["p", "q", "r", "s"]


def test_a_row_per_portfolio_and_a_column_per_measure():
    """Null unless the status is ok; a measure that only a limit names has no column."""
    table = answer_table(pa.array(IDS), MEASURES, [FIRST, REFUSED, LAST])

    assert table.to_pydict() == {
        "portfolio_id": IDS,
        "volatility": [2.0, None, None, 3.0],
        "value_at_risk@0.95": [-1.0, None, None, 3.0],
        "concentration": [None, 0.5, None, 3.0],
        "status": ["ok", "ok", "error", "ok"],
        "decision": ["accept", "reject", "reject", "warn"],
        "breach_count": [0, 2, 0, 1],
        "code": [None, None, "no_market", None],
        "limits_applied": [3, 2, 0, 0],
        "n_observations": [250, 90, None, None],
        "window_status": ["ok", "short", None, None],
        "data_quality": [[], ["short_window", "jump:XOM"], [], []],
    }


def test_the_columns_have_their_types_even_without_rows():
    """Also of an empty answer, and of a block that was refused."""
    expected = pa.schema(
        [
            ("portfolio_id", pa.string()),
            *((name, pa.float64()) for name in COLUMNS),
            ("status", pa.string()),
            ("decision", pa.string()),
            ("breach_count", pa.int32()),
            ("code", pa.string()),
            ("limits_applied", pa.int32()),
            ("n_observations", pa.int64()),
            ("window_status", pa.string()),
            ("data_quality", pa.list_(pa.string())),
        ]
    )

    for ids, answers in (([], []), (["r"], [REFUSED]), (IDS, [FIRST, REFUSED, LAST])):
        table = answer_table(pa.array(ids, pa.string()), MEASURES, answers)

        assert table.schema == expected
        assert table.num_rows == len(ids)


def test_no_cell_is_nan():
    """Every library reads a null as a null."""
    table = answer_table(pa.array(IDS), MEASURES, [FIRST, REFUSED, LAST])

    for name in COLUMNS:
        assert not any(cell != cell for cell in table[name].to_pylist())  # noqa: PLR0124


def test_a_row_per_breach_has_the_id_of_its_portfolio():
    """Over several blocks."""
    decoded = [decode_answer(encode_answer(one)) for one in (FIRST, REFUSED, LAST)]
    table = breach_table(pa.array(IDS), decoded)

    assert table["portfolio_id"].to_pylist() == ["q", "q", "s"]
    assert table["limit"].to_pylist() == ["a", "b", "c"]
    assert table["utilisation"].to_pylist() == [None] * 3
    assert table["contributors"].to_pylist()[0] == [
        {"instrument": "AAPL", "amount": 1.5, "share": None},
        {"instrument": "XOM", "amount": 0.5, "share": 0.25},
    ]


def test_breaches_have_their_columns_even_without_rows():
    """The id of the portfolio, then the fields of a breach."""
    table = breach_table(pa.array([], pa.string()), [])

    assert table.num_rows == 0
    assert table.column_names == [
        *("portfolio_id", "limit", "measure", "observed", "threshold"),
        *("unit", "utilisation", "severity", "contributors", "scenarios"),
    ]


def test_tables_are_sliced_by_rows_of_portfolios():
    """Each slice has the breaches of its own portfolios, perhaps none."""
    decoded = [decode_answer(encode_answer(one)) for one in (FIRST, REFUSED, LAST)]
    tables = decode_tables(MEASURES, with_breaches=True)(pa.array(IDS), decoded)

    for start, stop, limits in ((0, 1, []), (1, 2, ["a", "b"]), (0, 4, ["a", "b", "c"])):
        own = tables[start:stop]
        assert own.portfolios.equals(tables.portfolios[start:stop])
        assert own.breaches["limit"].to_pylist() == limits
    assert tables[2:4].breaches["portfolio_id"].to_pylist() == ["s"]


def test_tables_without_breaches_stay_without():
    tables = decode_tables(MEASURES, with_breaches=False)(pa.array(IDS[:2]), [FIRST])

    assert tables.breaches is None
    assert tables[1:2].portfolios["portfolio_id"].to_pylist() == ["q"]
    assert tables[1:2].breaches is None
