"""The limit states of a live portfolio, from its report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.live import LimitState, standings
from risk_tasks.model.report import Breach, Measure, NotEvaluated, ReportError, RiskReport

LIMITS = [
    Limit("gross_exposure", warn=5.0, hard=9.0, id="two"),
    Limit("net_exposure", hard=9.0, id="one"),
]
REPORT = RiskReport(
    portfolio_id="p",
    market_id="m",
    limits_version="v",
    as_of=None,
    status="ok",
    decision="accept",
    measures={
        "gross_exposure": Measure(4.0, "ccy", "ok"),
        "net_exposure": Measure(-4.0, "ccy", "ok"),
    },
)


def states_of(report: RiskReport) -> list[tuple]:
    return [
        (one.limit, one.state, one.observed, one.threshold, one.reason)
        for one in standings(report, LimitSet("s", LIMITS), {})
        if one.limit != "limit_set:s"
    ]


def broken(severity: str, threshold: float) -> RiskReport:
    breach = Breach(
        limit="two",
        measure="gross_exposure",
        observed=4.0,
        threshold=threshold,
        unit="ccy",
        utilisation=None,
        severity=severity,
    )
    return replace(REPORT, breaches=(breach,))


def test_an_unbroken_limit_has_its_next_threshold():
    assert states_of(REPORT) == [
        ("two", LimitState.OK, 4.0, 5.0, None),
        ("one", LimitState.OK, -4.0, 9.0, None),
    ]
    own = standings(REPORT, LimitSet("s", LIMITS), {})[:-1]
    assert {one.unit for one in own} == {"ccy"}


def test_a_broken_limit_has_the_passed_threshold():
    assert states_of(broken("warn", 3.0))[0] == ("two", LimitState.WARN, 4.0, 3.0, None)
    assert states_of(broken("hard", 3.5))[0] == ("two", LimitState.HARD, 4.0, 3.5, None)


def test_a_gap_has_its_reason():
    gap = NotEvaluated(
        limit="one", measure="net_exposure", reason="nav_unknown", missing_data="skip"
    )

    assert states_of(replace(REPORT, not_evaluated=(gap,)))[1] == (
        *("one", LimitState.NOT_EVALUATED, None, None, "nav_unknown"),
    )


# short_window, breach -> the state of a limit on a short window
SHORT_WINDOWS = [
    ("warn", None, LimitState.WARN),
    ("warn", "warn", LimitState.WARN),
    ("warn", "hard", LimitState.HARD),
    ("reject", None, LimitState.NOT_EVALUATED),
    ("reject", "warn", LimitState.NOT_EVALUATED),
    ("reject", "hard", LimitState.HARD),
]


@pytest.mark.parametrize(("rule", "severity", "state"), SHORT_WINDOWS)
def test_a_short_window_has_a_state_with_its_number_and_reason(rule, severity, state):
    """A hard breach on the window is a hard breach."""
    limit = Limit("volatility", warn=1.0, hard=2.0, short_window=rule)
    gap = NotEvaluated(
        limit=limit.id, measure="volatility", reason="short_window", missing_data=rule
    )
    breach = Breach(
        limit=limit.id,
        measure="volatility",
        observed=4.0,
        threshold=1.0,
        unit="ccy",
        utilisation=None,
        severity=severity or "",
    )
    measure = Measure(4.0, "ccy", "degraded", "short_window", 130)

    found = standings(
        replace(
            REPORT,
            measures={"volatility": measure},
            breaches=(breach,) if severity else (),
            not_evaluated=(gap,),
        ),
        LimitSet("s", [limit]),
        {},
    )[:-1]

    assert [(one.state, one.observed, one.reason) for one in found] == [
        (state, 4.0, "short_window")
    ]


def test_a_portfolio_with_an_error_has_no_limit_evaluated():
    failed = replace(
        broken("hard", 1.0), status="error", error=ReportError(code="no_market", message="None.")
    )

    assert {row[1:] for row in states_of(failed)} == {
        (LimitState.NOT_EVALUATED, None, None, "no_market"),
    }


def test_a_limit_without_a_number_is_not_evaluated():
    """A missing number is not a number within the limit."""
    unknown = {"net_exposure": Measure(None, "ccy", "error", "not_finite")}

    assert [row[1:] for row in states_of(replace(REPORT, measures=unknown))] == [
        (LimitState.NOT_EVALUATED, None, None, "not_computed"),
        (LimitState.NOT_EVALUATED, None, None, "not_finite"),
    ]


def test_a_set_is_in_a_state_of_its_own():
    """None if nothing was compared; not evaluated if it rejects, or without a report."""
    scoped = LimitSet("s", [Limit("gross_exposure", hard=1.0, applies_to={"desk": "fx"})])
    none = replace(REPORT, decision="none")
    gap = NotEvaluated(
        limit="limit_set:s", measure="", reason="no_limit_applied", missing_data="reject"
    )
    rejected = replace(REPORT, decision="reject", not_evaluated=(gap,))
    failed = replace(
        REPORT, status="error", decision="reject", error=ReportError(code="late", message="No.")
    )

    def state_of(report, tags):
        last = standings(report, scoped, tags)[-1]
        assert (last.limit, last.measure, last.observed) == ("limit_set:s", "", None)
        return last.state.value, last.reason

    assert state_of(REPORT, {"desk": "fx"}) == ("ok", None)
    assert state_of(none, {}) == ("none", None)
    assert state_of(rejected, {}) == ("not_evaluated", "no_limit_applied")
    assert state_of(failed, {}) == ("not_evaluated", "late")
    assert state_of(failed, {"desk": "fx"}) == ("ok", None)
    assert standings(REPORT, None, {}) == []
