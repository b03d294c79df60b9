"""A column of a measure: numbers with their outcomes."""

from __future__ import annotations

import numpy as np
import pytest

from risk_tasks.model.column import MeasureColumn, Outcome

NAN, INF = float("nan"), float("inf")

# outcome, status, reason, whether limits compare its number
OUTCOMES = [
    (Outcome.OK, "ok", None, True),
    (Outcome.NEGATIVE_VAR, "ok", "negative_var", True),
    (Outcome.NO_EXPOSURE, "ok", "no_exposure", True),
    (Outcome.ZERO_GROSS, "undefined", "zero_gross", True),
    (Outcome.NAV_UNKNOWN, "undefined", "nav_unknown", False),
    (Outcome.NAV_NOT_POSITIVE, "undefined", "nav_not_positive", False),
    (Outcome.NOT_IN_SCENARIO, "undefined", "not_in_scenario", False),
    (Outcome.UNKNOWN_SCENARIO, "undefined", "unknown_scenario", False),
    (Outcome.WINDOW_TOO_SHORT, "insufficient_data", "window_too_short", False),
    (Outcome.NOT_FINITE, "error", "not_finite", False),
    (Outcome.NOT_COMPUTED, "error", "not_computed", False),
    (Outcome.UNKNOWN_INSTRUMENT, "undefined", "unknown_instrument", False),
    (Outcome.MISSING_RETURNS, "insufficient_data", "missing_returns", False),
    (Outcome.NO_VARIANCE, "undefined", "no_variance", False),
    (Outcome.OUTSIDE_DOMAIN, "degraded", "outside_domain", True),
    (Outcome.OPEN_ENDED, "insufficient_data", "open_ended", False),
    (Outcome.OVERLAPPING, "undefined", "overlapping", False),
    (Outcome.COVARIANCE_REPAIRED, "degraded", "covariance_repaired", True),
    (Outcome.COVARIANCE_REFUSED, "undefined", "covariance_refused", False),
    (Outcome.TOO_FEW_PATHS, "insufficient_data", "too_few_paths", False),
    (Outcome.PARTLY_COVERED, "degraded", "partly_covered", True),
    (Outcome.NOT_IN_TIME, "error", "not_in_time", False),
    (Outcome.ILL_CONDITIONED, "undefined", "ill_conditioned", False),
    (Outcome.NEGATIVE_ES, "ok", "negative_es", True),
]


def test_every_outcome_is_in_the_table():
    """A new outcome needs a status, a reason and a rule for limits."""
    assert [row[0] for row in OUTCOMES] == list(Outcome)


@pytest.mark.parametrize(("outcome", "status", "reason", "has_value"), OUTCOMES)
def test_an_outcome_defines_whether_there_is_a_number(outcome, status, reason, has_value):
    """Only ok has no reason; limits read an undefined share as 0."""
    assert (outcome.status.value, outcome.reason, outcome.has_value) == (status, reason, has_value)


def test_each_row_has_its_own_outcome():
    outcomes = np.array([row[0] for row in OUTCOMES], dtype=np.int8)
    column = MeasureColumn(np.zeros(len(outcomes)), outcomes)

    assert column.has_value.tolist() == [row[3] for row in OUTCOMES]
    assert column.is_ok.tolist() == [row[1] == "ok" for row in OUTCOMES]


def test_the_first_mark_that_applies_decides():
    """Later marks change nothing; a value is removed if its outcome has no number."""
    values = np.array([1.0, 2.0, 3.0, 4.0])
    column = MeasureColumn.of(
        values,
        (np.array([True, True, False, False]), Outcome.NAV_UNKNOWN),
        (np.array([False, True, True, False]), Outcome.ZERO_GROSS),
    )

    assert column.outcomes.tolist() == [
        Outcome.NAV_UNKNOWN,
        Outcome.NAV_UNKNOWN,
        Outcome.ZERO_GROSS,
        Outcome.OK,
    ]
    np.testing.assert_array_equal(column.values, [NAN, NAN, 3.0, 4.0])
    assert values.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_value_that_is_not_finite_is_never_ok(value):
    """For any measure, and with any outcome that has a number."""
    gains = (np.array([False, True, False]), Outcome.NEGATIVE_VAR)
    fallen_back = (np.array([False, False, True]), Outcome.OUTSIDE_DOMAIN)
    column = MeasureColumn.of(np.array([value] * 3), gains, fallen_back)

    assert column.outcomes.tolist() == [Outcome.NOT_FINITE] * 3
    assert np.isnan(column.values).all()


def test_a_value_that_is_not_finite_keeps_its_reason():
    """An unknown nav is the reason, not the NaN that follows from it."""
    column = MeasureColumn.of(np.array([NAN]), (np.array([True]), Outcome.NAV_UNKNOWN))

    assert column.outcomes.tolist() == [Outcome.NAV_UNKNOWN]


def test_invalid_rows_have_no_numbers():
    """The other rows do not change; if all rows are valid, the column is not copied."""
    column = MeasureColumn(
        np.array([1.0, 2.0]), np.array([Outcome.OK, Outcome.ZERO_GROSS], np.int8)
    )

    kept = column.where(np.array([False, True]))

    np.testing.assert_array_equal(kept.values, [NAN, 2.0])
    assert kept.outcomes.tolist() == [Outcome.NOT_COMPUTED, Outcome.ZERO_GROSS]
    assert kept.outcomes.dtype == np.int8
    assert column.where(np.array([True, True])) is column
