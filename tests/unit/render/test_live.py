"""Live portfolios and their changes as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from risk_tasks.model.live import LimitChange, LimitStanding, LimitState, LiveReport
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.render.live import age_line, change_line, positions_table, summaries_table
from risk_tasks.store.portfolios import LiveSummary

HARD = LimitStanding(
    limit="var[x]",
    measure="value_at_risk",
    state=LimitState.HARD,
    observed=51_000.4,
    threshold=50_000.0,
    unit="ccy",
)
CHANGE = LimitChange(
    id="1-0",
    event_id="e",
    portfolio_id="fund[7]",
    version=12,
    before=LimitState.WARN,
    standing=HARD,
    at=datetime(2026, 3, 4, 5, 6, 7, 89_999, UTC),
)


def shown(what: object) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def test_a_change_is_one_line():
    """Brackets in names are not markup."""
    line = change_line(CHANGE).plain

    expected = (
        "2026-03-04 05:06:07.089  fund[7] v12  var[x]  warn -> hard  51,000, threshold 50,000"
    )
    assert line == expected


@pytest.mark.parametrize(
    ("standing", "end"),
    [
        ({"state": LimitState.OK, "observed": None, "threshold": None}, "warn -> ok"),
        ({"state": LimitState.OK, "threshold": None}, "warn -> ok  51,000"),
        (
            {"state": LimitState.NOT_EVALUATED, "observed": None, "reason": "no_market"},
            "warn -> not evaluated  no market",
        ),
    ],
)
def test_a_change_shows_observed_value_threshold_and_reason(standing, end):
    """As far as they are known."""
    assert change_line(replace(CHANGE, standing=replace(HARD, **standing))).plain.endswith(end)


def test_a_change_and_a_report_name_the_critical_event():
    line = change_line(replace(CHANGE, reason="[exchange] halt")).plain
    assert line.endswith("threshold 50,000  because of [exchange] halt")

    latest = replace(latest_report(1.0, 4), reason="[exchange] halt")
    assert age_line(latest).plain.endswith("old; checked because of [exchange] halt")


def test_positions_keep_their_digits():
    text = shown(positions_table(Portfolio("[p]", {"A[1]": 0.1 + 0.2}, cash=1.5, version=3)))

    assert "[p], version 3, cash 1.5" in text
    assert "A[1]" in text
    assert "0.30000000000000004" in text


def test_a_list_of_portfolios_names_three_limits_of_each():
    states = {f"l{n}": "hard" for n in range(5)}
    text = shown(
        summaries_table([LiveSummary("a", 7, 6, 3.21, states), LiveSummary("b", 1, None, None, {})])
    )

    assert "l0 hard, l1 hard, l2 hard and 2 more" in text
    assert "3.2 s" in text
    assert "pending" in text


@pytest.mark.parametrize(
    ("age_s", "current", "line"),
    [
        (1.04, 4, "Version 4, 1.0 s old"),
        (300.0, 5, "Version 4, 5 min old; version 5 is being computed"),
        (10_800.0, 4, "Version 4, 3 h old"),
    ],
)
def test_a_report_shows_its_age(age_s, current, line):
    assert age_line(latest_report(age_s, current)).plain == line


def latest_report(age_s: float, current_version: int) -> LiveReport:
    report = RiskReport(
        portfolio_id="p",
        market_id=None,
        limits_version=None,
        as_of=None,
        status="ok",
        decision="accept",
    )
    return LiveReport(report=report, version=4, current_version=current_version, age_s=age_s)
