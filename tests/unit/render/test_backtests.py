"""Backtests as tables."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from rich.console import Console

from risk_tasks.model.backtest import BacktestReport, backtest_of
from risk_tasks.model.report import ReportError
from risk_tasks.render.reports import backtest_tables

AS_OF = datetime(2022, 12, 28, tzinfo=UTC)


def record_of(n_observations, n_exceptions, confidence="0.99"):
    """Return a backtest with its exceptions at the beginning."""
    return backtest_of(np.arange(n_observations) < n_exceptions, confidence)


def shown(*backtests, error=None, **how):
    """Return the lines about one portfolio on a terminal of 80 columns."""
    report = BacktestReport(portfolio_id="core", backtests=backtests, error=error)
    console = Console(file=io.StringIO(), width=80, **{"color_system": None, **how})
    console.print(backtest_tables([report], 250, AS_OF), highlight=False)
    return [line.rstrip() for line in console.file.getvalue().splitlines()][3:]


def test_a_backtest_is_one_row_below_its_portfolio():
    """Counts, zone, and each statistic with its p-value."""
    lines = shown(record_of(750, 14))

    assert lines[0] == "core"
    assert lines[1].split() == [
        *("VaR", "days", "exceptions", "expected", "zone"),
        *("Kupiec", "independence", "coverage"),
    ]
    assert lines[2].split()[:7] == ["0.99", "750", "14", "7.5", "yellow", "4.53", "(0.033)"]


def test_each_confidence_has_a_row_and_its_last_five_exceptions():
    """The latest last; a backtest without exceptions omits the line."""
    lines = shown(record_of(100, 7), record_of(100, 2, "0.95"), record_of(100, 0, "0.9"))

    assert [line.split()[0] for line in lines[2:5]] == ["0.99", "0.95", "0.9"]
    assert lines[5:] == [
        "last exceptions at 0.99 on days -97, -96, -95, -94, -93",
        "last exceptions at 0.95 on days -99, -98",
    ]


def test_the_heading_states_window_and_day():
    """It has at most three lines of 80 columns."""
    console = Console(file=io.StringIO(), width=80, color_system=None)

    console.print(backtest_tables([], 123, AS_OF))

    text = console.file.getvalue()
    assert "the previous 123 days" in text
    assert "current positions" in text
    assert "2022-12-28" in text
    assert max(map(len, text.splitlines())) <= 80


def test_zones_are_coloured():
    """Like decisions."""
    how = {"color_system": "standard", "force_terminal": True}

    green, yellow, red = (shown(record_of(250, n), **how)[2] for n in (4, 5, 10))

    assert "\x1b[32mgreen" in green
    assert "\x1b[33myellow" in yellow
    assert "\x1b[1;31mred" in red


def test_supervisory_factors_are_shown_where_their_table_applies():
    """That is, for 250 days at 99 %."""
    assert shown(record_of(250, 7))[-1] == ("plus factor 0.65 (Basel 1996), multiplier 1.83 (FRTB)")
    assert not any("plus factor" in line for line in shown(record_of(251, 7)))


def test_a_small_p_value_is_not_shown_as_0():
    """Below 0.0005 it is <.001."""
    rare = [replace(record_of(250, 0), kupiec_p=p) for p in (0.00049, 0.0005)]

    below, above = (shown(one)[2] for one in rare)

    assert "(<.001)" in below
    assert "(<.001)" not in above


def test_a_statistic_that_is_undefined_is_a_dash_with_its_reason():
    """One day gives no statistics."""
    assert shown(record_of(1, 0))[2].endswith("- one day - one day")


def test_a_portfolio_without_a_backtest_shows_the_error():
    """With field and remedy, and without a table."""
    error = ReportError(code="c", message="GOLD has no price.", field="positions", remedy="Add it.")

    assert shown(error=error) == ["core", "positions: GOLD has no price. Add it."]


def test_rows_fit_a_terminal_of_eighty_columns():
    """Even with large statistics."""
    lines = shown(record_of(2500, 300), record_of(250, 12), record_of(10_000, 900, "0.975"))

    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert len(lines) == 2 + 3 + 3 + 1
