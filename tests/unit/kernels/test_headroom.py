"""Where measures of lines first pass a level; the reference visits each crossing of two lines."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.kernels.headroom import interpolated_exit, rank_exit, shortfall_exit

INF = float("inf")
# Sums and products of eighths have no rounding, so that ties are exact.
eighths = st.integers(-16, 16).map(lambda parts: parts / 8)
numbers = eighths | st.integers(-2000, 2000).map(lambda parts: parts / 1000)
lines = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=9)


def crossings(of_lines):
    """Return where any two lines cross, ascending from 0; between these, the order is constant."""
    found = {0.0}
    for i, (y, s) in enumerate(of_lines):
        for other, slope in of_lines[:i]:
            if s != slope and math.isfinite(at := (other - y) / (s - slope)) and at > 0:
                found.add(at)
    return sorted(found)


def at(of_lines, x):
    return sorted(y + s * x for y, s in of_lines)


def naive_exit(of_lines, measure, level, sign):
    """Return the first x after which `measure` is beyond `level`, by its linear pieces."""
    starts = crossings(of_lines)
    for start, stop in zip(starts, [*starts[1:], starts[-1] + 1.0], strict=True):
        first = sign * (measure(at(of_lines, start)) - level)
        last = sign * (measure(at(of_lines, stop)) - level)
        is_last = stop > starts[-1]
        if first > 1e-9:
            return start
        slope = (last - first) / (stop - start)
        if slope > 1e-12 and (is_last or last > 1e-9):
            return start + max(0.0, -first / slope)
    return INF


def check(found, of_lines, measure, level, sign):
    """Assert that the exit is the naive one, or that `measure` equals `level` between the two."""
    expected = naive_exit(of_lines, measure, level, sign)
    if found == expected or math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-6):
        return
    # Between two exits that differ, the measure equals the level.
    between = np.linspace(min(found, expected), min(max(found, expected), 1e7), 50)
    values = [(measure(at(of_lines, x)) - level) / (1 + x) for x in between]
    assert max(map(abs, values)) <= 1e-6, (found, expected)


def arrays_of(of_lines):
    y, s = (np.array(column, dtype=np.float64) for column in zip(*of_lines, strict=True))
    return y, s[None, :]


@given(lines, numbers, st.data())
def test_the_outcome_of_a_rank_exits_where_the_naive_one_does(of_lines, margin, data):
    """The level is the first value of the outcome, or less."""
    rank = data.draw(st.integers(0, len(of_lines) - 1))
    level = at(of_lines, 0.0)[rank] - abs(margin)
    out = np.empty(1)

    rank_exit(*arrays_of(of_lines), level, np.array([rank]), out)

    check(out[0], of_lines, lambda sorted_lines: sorted_lines[rank], level, -1.0)


@given(lines, numbers, st.sampled_from([0.25, 0.5, 0.9]), st.data())
def test_a_value_between_two_ranks_exits_where_its_linear_pieces_do(of_lines, margin, weight, data):
    """Its slope changes where either of the two ranks meets another line."""
    rank = data.draw(st.integers(0, len(of_lines) - 2))

    def measure(values):
        return (1 - weight) * values[rank] + weight * values[rank + 1]

    level, out = measure(at(of_lines, 0.0)) - abs(margin), np.empty(1)

    interpolated_exit(*arrays_of(of_lines), level, np.array([rank]), np.array([weight]), out)

    check(out[0], of_lines, measure, level, -1.0)


@given(lines, numbers, st.booleans(), st.sampled_from([1.0, 1.5, 2.0]))
def test_a_shortfall_exits_where_its_linear_pieces_do(of_lines, margin, rises, n_tail):
    """It rises through a level at most once; where it falls, the first exit counts."""
    rank = math.ceil(n_tail)

    def measure(values):
        return -(sum(values[: rank - 1]) + (n_tail - rank + 1) * values[rank - 1]) / n_tail

    sign = 1.0 if rises else -1.0
    level, out = measure(at(of_lines, 0.0)) + sign * abs(margin), np.empty(1)
    ranks, tails = np.array([rank]), np.array([n_tail])

    shortfall_exit(*arrays_of(of_lines), level, rises, ranks, tails, out)

    check(out[0], of_lines, measure, level, sign)


@pytest.mark.parametrize("missing", ["pnl", "slope"])
def test_a_missing_outcome_is_ignored(missing):
    """The return of the portfolio or of the traded instrument may be missing."""
    pnl, slope = np.array([0.0, -5.0, 3.0]), np.array([[-1.0, -9.0, -1.0]])
    (pnl[1:2] if missing == "pnl" else slope[0, 1:2]).fill(np.nan)
    found, one = np.empty(1), np.array([0])

    rank_exit(pnl, slope, -2.0, one, found)
    assert found[0] == 2.0
    shortfall_exit(pnl, slope, 2.0, True, one + 1, np.array([1.0]), found)
    assert found[0] == 2.0
    interpolated_exit(pnl, slope, -2.0, one, np.array([0.5]), found)
    assert found[0] == 3.5


def test_a_measure_that_is_beyond_the_level_at_0_exits_at_0():
    pnl, slope, found = np.array([-3.0, 1.0]), np.array([[1.0, 1.0]]), np.empty(1)

    rank_exit(pnl, slope, -2.0, np.array([0]), found)
    assert found[0] == 0.0
    shortfall_exit(pnl, slope, 2.0, True, np.array([1]), np.array([1.0]), found)
    assert found[0] == 0.0


def test_of_tied_outcomes_those_that_fall_fastest_are_the_tail():
    """A book worth 0 has a loss after a trade of either sign."""
    pnl, slope, found = np.zeros(3), np.array([[1.0, -1.0, 1.0]]), np.empty(1)

    shortfall_exit(pnl, slope, 0.0, False, np.array([1]), np.array([1.0]), found)

    assert found[0] == INF
