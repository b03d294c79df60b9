"""Zones of any record, and the supervisors' tables for 250 days at 99 %."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.model.backtest import (
    Zone,
    cumulative_probability,
    frtb_desk_threshold,
    frtb_multiplier,
    plus_factor,
    zone_of,
)
from risk_tasks.model.measures import tail_probability
from tests.reference import backtest as naive

confidences = st.sampled_from(["0.5", "0.9", "0.95", "0.975", "0.99", "0.999", "0.00001"])


@st.composite
def outcomes(draw):
    """A number of days, and a number of exceptions up to it."""
    n_observations = draw(st.integers(1, 300))
    few = st.integers(0, min(20, n_observations))
    return n_observations, draw(few | st.integers(0, n_observations))


@given(outcomes(), confidences)
def test_probabilities_and_zones_equal_their_references(outcome, confidence):
    """The reference adds fractions; the probability is the nearest double."""
    alpha = tail_probability(confidence)

    assert cumulative_probability(*outcome, confidence) == float(
        naive.cumulative_probability(*outcome, alpha)
    )
    assert zone_of(*outcome, confidence) == naive.zone(*outcome, alpha)


@given(outcomes(), confidences)
def test_another_exception_never_improves_the_zone(outcome, confidence):
    """Green, then yellow, then red."""
    n_observations, n_exceptions = outcome
    gravity = list(Zone)
    zones = [zone_of(n_observations, n, confidence) for n in range(n_exceptions + 1)]

    assert zones == sorted(zones, key=gravity.index)
    assert zones[0] is Zone.GREEN


def test_a_probability_equal_to_the_threshold_reaches_it():
    """One exception in two days or fewer has a probability of 1 - 0.01^2, which is 0.9999."""
    assert naive.cumulative_probability(2, 1, Fraction(1, 100)) == Fraction(9999, 10_000)
    assert zone_of(2, 1, "0.99") is Zone.RED
    assert zone_of(2, 1, "0.989") is Zone.YELLOW


@pytest.mark.parametrize("confidence", ["0.95", "0.99", "0.9999"])
def test_a_record_of_any_length_without_an_exception_is_green(confidence):
    """Though P(X <= 0) of one or two days is above 95 %."""
    assert [zone_of(n, 0, confidence) for n in (1, 2, 5, 250)] == [Zone.GREEN] * 4


def test_a_long_record_does_not_underflow():
    """0.5^20000 is below the smallest double; half of the outcomes are at or below the middle."""
    assert cumulative_probability(20_001, 10_000, "0.5") == 0.5
    assert cumulative_probability(20_000, 20_000, "0.99") == 1.0


@pytest.mark.parametrize(
    ("n_observations", "confidence"), [(249, "0.99"), (251, "0.99"), (250, "0.95")]
)
def test_tables_apply_to_250_days_at_99_percent_only(n_observations, confidence):
    """Other records have a zone and no factor."""
    assert plus_factor(n_observations, 7, confidence) is None
    assert frtb_multiplier(n_observations, 7, confidence) is None
    assert frtb_desk_threshold(n_observations, confidence) is None


def test_the_last_row_of_the_tables_is_for_that_many_exceptions_or_more():
    """Ten exceptions or two hundred and fifty."""
    for n in (10, 11, 250):
        assert plus_factor(250, n, "0.99") == 1.0
        assert frtb_multiplier(250, n, "0.99") == 2.0


@given(st.integers(0, 250))
def test_the_added_factor_grows_exactly_outside_the_green_zone(n_exceptions):
    """The tables and the zones change at the same numbers of exceptions."""
    zone = zone_of(250, n_exceptions, "0.99")

    assert (plus_factor(250, n_exceptions, "0.99") == 0.0) == (zone is Zone.GREEN)
    assert (frtb_multiplier(250, n_exceptions, "0.99") == 1.5) == (zone is Zone.GREEN)
    assert (plus_factor(250, n_exceptions, "0.99") == 1.0) == (zone is Zone.RED)
