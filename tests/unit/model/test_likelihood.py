"""Likelihood-ratio tests of exceptions against reference functions, also with counts of 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.model.backtest import (
    Transitions,
    chi_square_survival,
    conditional_coverage,
    independence,
    proportion_of_failures,
)
from risk_tasks.model.measures import tail_probability
from tests.reference import backtest as naive

#: logarithms of counts up to some thousands, added in another order
CLOSE = {"rel": 1e-9, "abs": 1e-8}

confidences = st.integers(1, 9999).map(lambda parts: f"0.{parts:04}".rstrip("0"))
records = st.lists(st.booleans(), min_size=1, max_size=60)
counts = st.builds(Transitions, *[st.integers(0, 3000) | st.integers(0, 2)] * 4)


def as_reference(transitions):
    """The counts in the form of the reference function."""
    n00, n01, n10, n11 = transitions
    return {(False, False): n00, (False, True): n01, (True, False): n10, (True, True): n11}


@given(records, confidences)
def test_proportion_of_failures_equals_its_reference(record, confidence):
    """For every number of exceptions, 0 and all days included."""
    actual = proportion_of_failures(len(record), sum(record), confidence)

    assert actual == pytest.approx(naive.kupiec(record, tail_probability(confidence)), **CLOSE)


@given(counts)
def test_independence_equals_its_reference(transitions):
    """For every table of counts, with whole rows and columns of zeros."""
    assert independence(transitions) == pytest.approx(
        naive.independence(as_reference(transitions)), **CLOSE
    )


@given(counts.filter(any), confidences)
def test_conditional_coverage_equals_its_reference(transitions, confidence):
    """The reference computes one ratio of likelihoods."""
    assert conditional_coverage(transitions, confidence) == pytest.approx(
        naive.coverage(as_reference(transitions), tail_probability(confidence)), **CLOSE
    )


@given(records)
def test_transitions_are_counted_day_by_day(record):
    """One fewer than there are days."""
    actual = Transitions.of(np.array(record))

    assert as_reference(actual) == naive.transitions(record)
    assert sum(actual) == len(record) - 1


@given(counts, confidences)
def test_statistics_are_not_negative_and_finite(transitions, confidence):
    """For any counts."""
    n, n_exceptions = sum(transitions) + 1, transitions.n01 + transitions.n11
    for statistic in (
        proportion_of_failures(n, n_exceptions, confidence),
        independence(transitions),
        conditional_coverage(transitions, confidence),
    ):
        assert 0.0 <= statistic < math.inf


@pytest.mark.parametrize(
    ("n_observations", "n_exceptions", "confidence"),
    [(100, 1, "0.99"), (100, 30, "0.7"), (1000, 25, "0.975"), (10**9, 10**5, "0.9999")],
)
def test_the_expected_number_of_exceptions_has_a_ratio_of_exactly_0(
    n_observations, n_exceptions, confidence
):
    """In binary floating point 1 - 0.7 is not 0.3."""
    assert proportion_of_failures(n_observations, n_exceptions, confidence) == 0.0


def test_rounding_makes_no_statistic_negative():
    """These counts are independent except for one day; their terms cancel to -1.6e-10."""
    assert independence(Transitions(2_817_505, 7_668, 939_168, 2_556)) == 0.0


def test_the_ratio_of_a_record_without_exceptions_grows_with_its_days():
    """LR_pof is -2 T log(1 - alpha) for no exceptions, and -2 T log(alpha) for only exceptions."""
    none, every = (proportion_of_failures(250, n, "0.99") for n in (0, 250))

    assert none == pytest.approx(-500 * math.log(0.99), rel=1e-12)
    assert every == pytest.approx(-500 * math.log(0.01), rel=1e-12)


@pytest.mark.parametrize(
    ("transitions", "expected"),
    [
        # No exception follows another: 2 [7 log(7/8 x 9/8) + 1 log(9/8) + 1 log(9/8)], by hand.
        ((7, 1, 1, 0), 2 * (7 * math.log(63 / 64) + 2 * math.log(9 / 8))),
        ((9, 0, 0, 0), 0.0),
        ((0, 0, 0, 9), 0.0),
        # the last day only: the day after the exception is unknown
        ((8, 1, 0, 0), 0.0),
        ((0, 0, 0, 0), 0.0),
        # the days alternate: the whole entropy
        ((0, 5, 5, 0), 20 * math.log(2)),
    ],
)
def test_independence_is_finite_for_counts_of_0(transitions, expected):
    """0 log 0 is 0, and days of one kind show no dependence."""
    assert independence(Transitions(*transitions)) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@given(st.floats(0, 1e6))
def test_p_values_are_between_0_and_1(statistic):
    """For any statistic."""
    assert 0.0 <= chi_square_survival(statistic, 1) <= chi_square_survival(statistic, 2) <= 1.0


def test_the_smallest_statistic_has_a_p_value_of_1():
    assert chi_square_survival(0.0, 1) == chi_square_survival(0.0, 2) == 1.0


def test_other_degrees_of_freedom_are_refused():
    """There is no closed form for them here."""
    with pytest.raises(ValueError, match="3"):
        chi_square_survival(1.0, 3)
