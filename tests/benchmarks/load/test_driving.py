"""Times are measured from the moment a call is due, so that calls behind a stall count as slow."""

from __future__ import annotations

import pytest

from benchmarks.load import driving
from benchmarks.load.driving import Call, Schedule, by_round, drive
from benchmarks.load.figures import times_of
from risk_tasks.histograms import Durations


class Clock:
    """A clock that advances only by sleeping."""

    def __init__(self):
        self.now_s = 0.0

    def perf_counter(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(driving, "time", clock)
    return clock


def test_a_stall_counts_in_the_times_of_the_calls_behind_it(clock):
    """Calls are due each second and take 0.1 s; the second takes 2.5 s and delays two others."""
    takes_s = iter([0.1, 2.5, 0.1, 0.1, 0.1])

    def request():
        clock.sleep(next(takes_s))
        return 10, 1

    calls = drive([request], Schedule(0.0, 1.0), lambda number: number < 5)

    assert [call.due_s for call in calls] == [0, 1, 2, 3, 4]
    assert [call.took_s for call in calls] == pytest.approx([0.1, 2.5, 1.6, 0.7, 0.1])
    assert {(call.n_checks, call.n_failed) for call in calls} == {(10, 1)}


def test_no_call_is_made_before_it_is_due(clock):
    started = []

    def request():
        started.append(clock.now_s)
        return 1, 0

    drive([request], Schedule(0.5, 2.0), lambda number: number < 3)

    assert started == [0.5, 2.5, 4.5]


def test_every_user_calls_in_every_round():
    calls = drive([lambda: (1, 0), lambda: (2, 0)], Schedule(0.0, 0.0), lambda n: n < 3)

    assert sorted((call.number, call.n_checks) for call in calls) == [
        (number, n) for number in range(3) for n in (1, 2)
    ]


def test_a_round_counts_checks_and_not_calls():
    """Nine checks in 1 ms and one in 100 ms: the mean is 10.9 ms, and p95 the long one."""
    rounds = by_round([Call(0, 0.0, 0.001, 9, 0), Call(0, 0.0, 0.1, 1, 0)])
    times = times_of(rounds)

    assert times.mean_ms == pytest.approx(10.9)
    assert times.p95_ms == pytest.approx(100, rel=1e-3)


def test_a_level_has_the_median_of_its_rounds_and_the_worst_time_of_all():
    rounds = []
    for seconds in (0.01, 0.02, 0.9):
        rounds.append(Durations())
        rounds[-1].add(seconds, 5)
    times = times_of(rounds)

    assert (times.mean_ms, times.n_rounds) == (pytest.approx(20), 3)
    assert times.p99_ms == pytest.approx(20, rel=1e-3)
    assert times.worst_ms == pytest.approx(900, rel=1e-3)
