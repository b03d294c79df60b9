"""A backtest: its exceptions, counts, tests and zones."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidSettingsError, RequestError
from risk_tasks.model.backtest import backtest
from risk_tasks.model.measures import tail_probability
from tests.reference import backtest as naive

amounts = st.integers(-40, 40).map(lambda eighths: eighths / 8) | st.floats(-1e6, 1e6)
days = st.lists(st.tuples(amounts, amounts), min_size=1, max_size=60)
confidences = st.sampled_from(["0.5", "0.9", "0.95", "0.975", "0.99", "0.999"])
P_VALUES = ("kupiec_p", "independence_p", "coverage_p")


def record_of(hits, confidence="0.99"):
    """The backtest of a list of booleans: losses of 2 or 0 against a VaR of 1."""
    return backtest(np.where(hits, -2.0, 0.0), np.ones(len(hits)), confidence)


@given(days, confidences)
def test_a_backtest_equals_its_reference(rows, confidence):
    """Counts and zone exactly, statistics within rounding."""
    pnl, bounds = zip(*rows)
    record, alpha = naive.hits(pnl, bounds), tail_probability(confidence)

    actual = backtest(pnl, bounds, confidence)

    assert actual.confidence == confidence
    assert actual.n_observations == len(record)
    assert actual.n_exceptions == sum(record)
    assert actual.expected == float(len(record) * alpha)
    assert actual.zone == naive.zone(len(record), sum(record), alpha)
    assert actual.kupiec_lr == pytest.approx(naive.kupiec(record, alpha), rel=1e-9, abs=1e-9)
    if len(record) > 1:
        counts = naive.transitions(record)
        assert actual.independence_lr == pytest.approx(naive.independence(counts), abs=1e-9)
        assert actual.coverage_lr == pytest.approx(naive.coverage(counts, alpha), abs=1e-9)


@given(days, confidences)
def test_exceptions_are_counted_back_from_the_last_day(rows, confidence):
    """0 is the last day itself."""
    pnl, bounds = zip(*rows)
    last = len(rows) - 1

    actual = backtest(pnl, bounds, confidence).exceptions

    assert [last + day for day in actual] == [
        t for t, hit in enumerate(naive.hits(pnl, bounds)) if hit
    ]


@given(days, confidences)
def test_p_values_are_probabilities_and_ratios_are_not_negative(rows, confidence):
    """For any record."""
    actual = backtest(*zip(*rows), confidence)

    for name in P_VALUES:
        p, ratio = getattr(actual, name), getattr(actual, name.replace("_p", "_lr"))
        assert (p is None) == (ratio is None)
        assert p is None or (0.0 <= p <= 1.0 and ratio >= 0.0)


@given(days, confidences)
def test_kupiec_and_zone_do_not_depend_on_the_order_of_days(rows, confidence):
    """A reversed record has as many exceptions, and as many of each pair of days."""
    forward = backtest(*zip(*rows), confidence)
    backward = backtest(*zip(*rows[::-1]), confidence)

    assert backward.kupiec_lr == forward.kupiec_lr
    assert backward.zone == forward.zone
    assert backward.independence_lr == pytest.approx(forward.independence_lr, abs=1e-9)


@given(days.filter(lambda rows: len(rows) > 2), confidences)
def test_conditional_coverage_is_coverage_plus_independence(rows, confidence):
    """LR_cc is LR_ind plus the LR_pof of the days after the first."""
    whole, followers = backtest(*zip(*rows), confidence), backtest(*zip(*rows[1:]), confidence)

    assert whole.coverage_lr == pytest.approx(
        followers.kupiec_lr + whole.independence_lr, rel=1e-9, abs=1e-9
    )


def test_a_loss_equal_to_the_var_is_not_an_exception():
    """A loss that is larger by the last bit is; a negative VaR is a bound like any other."""
    beyond = np.nextafter(-1.0, -2.0)

    actual = backtest([-1.0, beyond, 1.0, 0.5, 0.0], [1.0, 1.0, -1.0, -1.0, 0.0], "0.99")

    assert actual.exceptions == (-3, -1)


def test_clustered_exceptions_are_distinguished_from_spread_ones():
    """Ten of a hundred in a row, and one in ten: equal for Kupiec, different for Christoffersen."""
    together, apart = np.arange(100) < 10, np.arange(100) % 10 == 0

    clustered, even = record_of(together, "0.9"), record_of(apart, "0.9")

    assert clustered.kupiec_lr == even.kupiec_lr == 0.0
    assert clustered.independence_p < 1e-6
    assert even.independence_p > 0.05
    assert clustered.coverage_p < 1e-6


def test_a_record_without_exceptions_is_finite():
    """Green, without a sign of dependence, and with too few exceptions for a right VaR."""
    actual = record_of(np.zeros(250, dtype=bool))

    assert (actual.n_exceptions, actual.zone, actual.exceptions) == (0, "green", ())
    assert actual.kupiec_lr == pytest.approx(5.0252, abs=5e-5)
    assert (actual.independence_lr, actual.independence_p) == (0.0, 1.0)
    assert actual.coverage_lr == pytest.approx(5.0252 * 249 / 250, abs=5e-5)


def test_a_record_of_only_exceptions_is_finite():
    """Red, with the smallest probability."""
    actual = record_of(np.ones(250, dtype=bool))

    assert (actual.n_exceptions, actual.zone, actual.plus_factor) == (250, "red", 1.0)
    assert actual.kupiec_lr == pytest.approx(2302.585, abs=5e-4)
    assert actual.kupiec_p == 0.0
    assert actual.independence_lr == 0.0


@pytest.mark.parametrize("hit", [False, True])
def test_one_day_has_no_test_of_independence(hit):
    """No statistic, no p-value, and the reason under each name."""
    actual = record_of([hit])

    assert (actual.independence_lr, actual.independence_p) == (None, None)
    assert (actual.coverage_lr, actual.coverage_p) == (None, None)
    assert actual.reasons["independence"] == actual.reasons["coverage"] == "one_day"
    assert actual.kupiec_lr > 0
    assert actual.n_exceptions == hit


def test_each_missing_value_has_a_reason():
    """A year at 99 % has all values; another length has no factors."""
    year, other = record_of(np.arange(250) < 5), record_of(np.arange(251) < 5)

    assert dict(year.reasons) == {}
    assert (year.plus_factor, year.frtb_multiplier, year.frtb_desk_threshold) == (0.4, 1.7, 12)
    assert dict(other.reasons) == dict.fromkeys(
        ("plus_factor", "frtb_multiplier", "frtb_desk_threshold"), "not_in_table"
    )
    assert all(getattr(other, name) is None for name in other.reasons)


@pytest.mark.parametrize("confidence", ["0.990", 0.99, Decimal("0.99")])
def test_confidence_is_parsed_as_everywhere(confidence):
    """From its text, to the same text."""
    assert record_of([True, False], confidence) == record_of([True, False], "0.99")


@pytest.mark.parametrize("confidence", ["1", 0, "99 %", float("nan")])
def test_an_invalid_confidence_is_refused(confidence):
    """The error names its field."""
    with pytest.raises(InvalidSettingsError) as refused:
        record_of([True], confidence)

    assert refused.value.field == "confidence"


NAN, INF = float("nan"), float("inf")
REFUSED = [
    ([1.0, 2.0], [1.0], "value_at_risk"),
    ([1.0], [1.0, 2.0], "value_at_risk"),
    ([], [], "pnl"),
    ([1.0, NAN], [1.0, 1.0], "pnl[1]"),
    ([-INF, 1.0], [1.0, 1.0], "pnl[0]"),
    ([1.0, 1.0], [1.0, INF], "value_at_risk[1]"),
    ([[1.0]], [1.0], "pnl"),
    ([1.0], 1.0, "value_at_risk"),
    (["1"], [1.0], "pnl"),
    ([None], [1.0], "pnl"),
    ([True], [1.0], "pnl"),
    ([[1.0], [1.0, 2.0]], [1.0, 1.0], "pnl"),
]


@pytest.mark.parametrize(("pnl", "bounds", "field"), REFUSED)
def test_an_invalid_record_is_refused_by_its_field(pnl, bounds, field):
    """With a remedy; no value is dropped silently."""
    with pytest.raises(RequestError) as refused:
        backtest(pnl, bounds, "0.99")

    assert refused.value.field == field
    assert refused.value.remedy != RequestError().remedy


def test_a_backtest_is_a_value():
    """Equal by content, and immutable."""
    one = record_of([True, False, False])

    assert one == record_of([True, False, False])
    assert one != replace(one, exceptions=(0,))
    with pytest.raises(FrozenInstanceError):
        one.zone = "green"
