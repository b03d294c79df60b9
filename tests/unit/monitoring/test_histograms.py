"""Distributions against all the times themselves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import DecodeError
from risk_tasks.histograms import Durations, DurationsDocument
from tests.reference import durations as naive

#: whole microseconds up to ten minutes, each with how often
times = st.lists(
    st.tuples(st.integers(1, 600_000_000).map(lambda us: us / 1e6), st.integers(1, 40)),
    min_size=1,
    max_size=30,
)
percents = st.sampled_from([1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 100.0])


def counted(pairs) -> Durations:
    durations = Durations()
    for seconds, n in pairs:
        durations.add(seconds, n)
    return durations


@given(times, percents)
def test_percentiles_are_those_of_the_times_within_one_part_in_a_thousand(pairs, percent):
    """Three significant digits, and never below."""
    found = counted(pairs).percentile_s(percent)
    expected = naive.percentile(pairs, percent)

    assert expected - 1e-12 <= found <= expected * 1.001 + 1e-6


@given(times)
def test_the_mean_is_exact_and_all_are_counted(pairs):
    durations = counted(pairs)

    assert durations.mean_s == pytest.approx(naive.mean(pairs), rel=1e-12)
    assert durations.n == sum(n for _, n in pairs)


@given(times, st.integers(0, 30), percents)
def test_what_workers_counted_adds_up_to_what_one_would_have_counted(pairs, cut, percent):
    """Through the bytes in which it travels."""
    merged = Durations()
    for part in (pairs[:cut], pairs[cut:]):
        merged.merge(counted(part).document())
    whole = counted(pairs)

    assert merged.percentile_s(percent) == whole.percentile_s(percent)
    assert merged.n == whole.n
    assert math.isclose(merged.sum_s, whole.sum_s, rel_tol=1e-12)


def test_nothing_counted_has_no_numbers():
    """Neither here nor after a journey."""
    durations = Durations()
    durations.merge(Durations().document())

    assert durations.mean_s is None
    assert durations.percentile_s(99) is None
    assert durations.document() == DurationsDocument()


@pytest.mark.parametrize(("seconds", "told"), [(-0.001, 1e-6), (0.0, 1e-6), (7_200.0, 3_600.0)])
def test_what_lies_beyond_the_bounds_is_counted_at_the_bound(seconds, told):
    """Clocks may go back, and a time-out may be a day."""
    found = counted([(seconds, 2)]).percentile_s(50)

    assert found == pytest.approx(told, rel=1e-3)


@pytest.mark.parametrize("histogram", ["", "nonsense", "HISTFAAAAB"])
def test_a_histogram_that_is_none_is_a_typed_error(histogram):
    with pytest.raises(DecodeError, match="histogram"):
        Durations().merge(DurationsDocument(1, 0.1, histogram))
