"""A backtest as JSON."""

from __future__ import annotations

import json

import numpy as np

from risk_tasks.model.backtest import BacktestReport, backtest_of
from risk_tasks.model.report import ReportError
from risk_tasks.wire.documents import report_document


def through_json(report):
    """Return the document after a pass through JSON text."""
    return json.loads(json.dumps(report_document(report), allow_nan=False))


def test_a_backtest_document_has_every_result():
    """Every exception, and a reason for each number that is null."""
    one = backtest_of(np.arange(300) < 20, "0.99")

    document = through_json(BacktestReport(portfolio_id="p", backtests=[one]))

    assert document.keys() == {"portfolio_id", "backtests"}
    (row,) = document["backtests"]
    assert row["zone"] == "red"
    assert row["exceptions"] == list(range(-299, -279))
    assert row["kupiec_lr"] == one.kupiec_lr
    assert row["plus_factor"] is None
    assert row["reasons"]["plus_factor"] == "not_in_table"
    assert row.keys() == {name for name in one.__slots__ if not name.startswith("_")}


def test_a_failed_backtest_has_its_error_at_the_top_level():
    """Like the report of a check."""
    error = ReportError(code="invalid_market", message="Short.", field="returns", remedy="More.")

    document = through_json(BacktestReport(portfolio_id="p", error=error))

    assert document == {
        "portfolio_id": "p",
        "backtests": [],
        "code": "invalid_market",
        "message": "Short.",
        "field": "returns",
        "remedy": "More.",
    }
