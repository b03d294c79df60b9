"""The use of limits and the headroom as tables."""

from __future__ import annotations

from dataclasses import replace

from risk_tasks.model.report import Explanation, Headroom, LimitUse
from risk_tasks.render.reports import headroom_tables
from tests.unit.render.test_reports import OK, QUIET, printed

USE = LimitUse(
    limit="var-desk",
    measure="value_at_risk",
    observed=1_662_114.0,
    warn=None,
    hard=1_500_000.0,
    unit="ccy",
    utilisation=1.108,
    severity="hard",
)
HALF = replace(USE, limit="half", observed=0.25, warn=0.5, hard=None, unit="fraction")
ROOM = Headroom(
    instrument="AAPL", buy=1234.9, sell=None, buy_bound_by="var-desk", sell_bound_by=None
)
EXPLAINED = replace(
    OK,
    explanation=Explanation(
        limits=(
            USE,
            replace(HALF, utilisation=0.5, severity=None),
            replace(HALF, utilisation=None),
        ),
        headroom=(ROOM, replace(ROOM, instrument="XOM", buy=0.999)),
        not_bounded=("semi_deviation", "beta:SPY"),
    ),
)


def test_limits_and_headroom_follow_their_portfolio():
    """A bar is full at its limit; quantities are rounded down."""
    lines = [line.split() for line in printed(headroom_tables([QUIET, EXPLAINED]))]

    assert lines[0] == ["core-equities"]
    assert lines[2] == ["var-desk", "1,662,114", "1,500,000", "111%", "#" * 20]
    assert lines[3] == ["half", "25.0", "%", "50.0", "%", "50%", "#" * 10 + "." * 10]
    assert lines[4] == ["half", "25.0", "%", "50.0", "%", "-", "." * 20]
    assert lines[6] == ["AAPL", "1,234", "var-desk", "no", "bound"]
    assert lines[7] == ["XOM", "0.99", "var-desk", "no", "bound"]
    assert " ".join(lines[8]) == "The headroom does not consider: semi_deviation, beta:SPY"


def test_a_report_without_explanation_has_no_table():
    assert printed(headroom_tables([QUIET])) == []
    assert printed(headroom_tables([replace(OK, explanation=Explanation())])) == ["core-equities"]
