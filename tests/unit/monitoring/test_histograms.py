"""Distributions compared with the list of all times."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import DecodeError
from risk_tasks.histograms import Durations, DurationsDocument
from tests.reference import durations as naive

#: whole microseconds up to ten minutes, each with a number of occurrences
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
def test_percentiles_have_an_error_of_at_most_one_in_a_thousand(pairs, percent):
    """Three significant digits, and never too low."""
    found = counted(pairs).percentile_s(percent)
    expected = naive.percentile(pairs, percent)

    assert expected - 1e-12 <= found <= expected * 1.001 + 1e-6


@given(times)
def test_mean_and_number_are_exact(pairs):
    durations = counted(pairs)

    assert durations.mean_s == pytest.approx(naive.mean(pairs), rel=1e-12)
    assert durations.n == sum(n for _, n in pairs)


@given(times, st.integers(0, 30), percents)
def test_merged_distributions_equal_one_distribution_of_all_times(pairs, cut, percent):
    """Also after encoding and decoding."""
    merged = Durations()
    for part in (pairs[:cut], pairs[cut:]):
        merged.merge(counted(part).document())
    whole = counted(pairs)

    assert merged.percentile_s(percent) == whole.percentile_s(percent)
    assert merged.n == whole.n
    assert math.isclose(merged.sum_s, whole.sum_s, rel_tol=1e-12)


def test_without_counts_mean_and_percentiles_are_undefined():
    """Also after encoding and decoding."""
    durations = Durations()
    durations.merge(Durations().document())

    assert durations.mean_s is None
    assert durations.percentile_s(99) is None
    assert durations.document() == DurationsDocument()


@pytest.mark.parametrize(("seconds", "expected"), [(-0.001, 1e-6), (0.0, 1e-6), (7_200.0, 3_600.0)])
def test_times_beyond_the_bounds_are_counted_at_the_bound(seconds, expected):
    """Clocks may go back, and a timeout may be a day."""
    found = counted([(seconds, 2)]).percentile_s(50)

    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("histogram", ["", "nonsense", "HISTFAAAAB"])
def test_an_invalid_histogram_is_a_typed_error(histogram):
    with pytest.raises(DecodeError, match="histogram"):
        Durations().merge(DurationsDocument(1, 0.1, histogram))
