"""Measures that weight outcomes by their age."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.kernels import weighted
from tests.reference import rank
from tests.reference import weighted as naive
from tests.unit.kernels.blocks import (
    UNWRITTEN,
    Array,
    assert_close,
    assert_same_bits,
    confidences,
    observed,
    outcome_rows,
)

NAN = float("nan")
decays = st.sampled_from([0.5, 0.94, 0.97, 0.999])


def size_of(pnl: Array) -> Array:
    """Return the largest magnitude in each row, to which errors are relative."""
    return np.array([max((abs(x) for x in observed(row)), default=0.0) for row in pnl])


def ewma_volatilities(pnl: Array, decay: float) -> Array:
    """Run `weighted.ewma_volatility`."""
    out = np.full(pnl.shape[0], float(UNWRITTEN))
    weighted.ewma_volatility(pnl, decay, out)
    return out


@given(outcome_rows(), decays)
def test_ewma_volatility_agrees_with_its_reference(pnl: Array, decay: float) -> None:
    """A missing outcome does not age the earlier ones."""
    expected = [naive.ewma_volatility(observed(row), decay) for row in pnl]

    assert_close(ewma_volatilities(pnl, decay), expected, size_of(pnl))


def test_the_latest_outcome_weighs_most() -> None:
    """The weights are 4/7, 2/7, 1/7 from the last on; a missing outcome does not change them."""
    rows = np.array([[0.0, 0.0, 7.0, NAN], [NAN, 0.0, 7.0, 0.0], [7.0, NAN, 0.0, 0.0]])

    assert ewma_volatilities(rows, 0.5).tolist() == [28.0**0.5, 14.0**0.5, 7.0**0.5]


def test_ewma_volatility_without_outcomes_is_0() -> None:
    """The zero is positive; there is no division by a weight of 0."""
    assert_same_bits(ewma_volatilities(np.full((2, 3), NAN), 0.94), np.zeros(2))
    assert_same_bits(ewma_volatilities(np.empty((1, 0)), 0.94), np.zeros(1))


def age_weighted_values_at_risk(pnl: Array, decay: float, confidence: str) -> Array:
    """Run `weighted.age_weighted_value_at_risk` for the tail of this confidence."""
    alpha = rank.tail_probability(confidence)
    n_tail = np.array([float(max(1, len(observed(row))) * alpha) for row in pnl])
    out = np.full(pnl.shape[0], float(UNWRITTEN))
    weighted.age_weighted_value_at_risk(pnl, decay, n_tail, out)
    return out


@given(outcome_rows(), st.sampled_from([0.01, 0.5, 0.98, 0.999, 1.0]), confidences)
def test_age_weighted_value_at_risk_is_that_of_its_reference(
    pnl: Array, decay: float, confidence: str
) -> None:
    """It agrees exactly, because it is one of the outcomes."""
    expected = [naive.age_weighted_value_at_risk(observed(row), confidence, decay) for row in pnl]

    actual = age_weighted_values_at_risk(pnl, decay, confidence)

    np.testing.assert_array_equal(actual, expected)


def test_age_weighted_value_at_risk_does_not_change_its_input() -> None:
    """It sorts a copy."""
    pnl = np.array([[3.0, -1.0, NAN, 2.0, -5.0]])
    before = pnl.copy()

    age_weighted_values_at_risk(pnl, 0.98, "0.5")

    assert_same_bits(pnl, before)


def test_age_weighted_value_at_risk_without_outcomes_is_0() -> None:
    """The zero is positive."""
    none = np.full((2, 3), NAN)

    assert_same_bits(age_weighted_values_at_risk(none, 0.98, "0.95"), np.zeros(2))
    assert_same_bits(age_weighted_values_at_risk(np.empty((1, 0)), 0.98, "0.95"), np.zeros(1))


def volatility_ratios(pnl: Array, decay: float) -> Array:
    """Run `weighted.volatility_ratio`."""
    out = np.full(pnl.shape, float(UNWRITTEN))
    weighted.volatility_ratio(pnl, decay, out)
    return out


@given(outcome_rows(), st.sampled_from([0.9, 0.94, 0.97]))
def test_scaled_outcomes_are_those_of_the_reference(pnl: Array, decay: float) -> None:
    """Both omit the outcomes that cannot be scaled."""
    scaled = pnl * volatility_ratios(pnl, decay)

    for row, found in zip(pnl, scaled, strict=True):
        expected = naive.filtered_outcomes(observed(row), decay)

        np.testing.assert_allclose(observed(found), expected, rtol=1e-11, atol=0)


def test_each_outcome_is_scaled_by_the_forecast_before_it() -> None:
    """The forecasts are the mean square 8, unchanged after the gap, then 12, and 6 for tomorrow."""
    pnl = np.array([[8.0**0.5, NAN, 4.0, 0.0]])

    found = volatility_ratios(pnl, 0.5)

    assert np.isnan(found[0, 1])
    np.testing.assert_allclose(found[0, [0, 2, 3]] ** 2, [6 / 8, 6 / 8, 6 / 12], rtol=1e-14)


def test_an_outcome_with_a_forecast_volatility_of_0_is_not_scaled() -> None:
    """An outcome of 0 remains 0; another one becomes missing."""
    calm = np.zeros((1, 3))
    sudden = np.array([[1.0, 0.0, 0.0, 1.0]])

    assert_same_bits(volatility_ratios(calm, 0.94), calm)
    assert np.isnan(volatility_ratios(sudden, 1e-320)).tolist() == [[False, False, False, True]]
