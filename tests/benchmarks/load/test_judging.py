"""Each criterion follows from the figures, and each can fail independently of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.load.figures import Figures, Kills, LaneSample, PercentilePair, Scaling, Times
from benchmarks.load.judging import LEVEL_MS, Criterion, Targets, judge, verdict
from benchmarks.load.report import Report
from tests.benchmarks.load.figures import GOOD, measurement, with_level

TARGETS = Targets()


def failed(figures, targets=TARGETS):
    return [one.name for one in judge(figures, targets) if one.passed is False]


def test_figures_at_their_bounds_pass_every_criterion():
    """Each of five levels at its target, and the six criteria that belong to no level."""
    criteria = judge(GOOD, TARGETS)

    assert [one.passed for one in criteria] == [True] * (5 + 4 + 5 + 1 + 1 + 2 + 1 + 1 + 1)
    assert verdict(criteria) == "PASS: 21 passed, 0 failed, 0 not judged"


@pytest.mark.parametrize("n", LEVEL_MS)
def test_a_level_above_its_target_fails(n):
    beyond = failed(with_level(n, blocks_ms=LEVEL_MS[n] + 0.1))

    assert f"p95 of blocks at {n:,}" in beyond
    assert all(f"at {n:,}" in name for name in beyond)


@pytest.mark.parametrize(("n", "is_judged"), [(500, True), (20_000, True), (50_000, False)])
def test_the_target_response_time_holds_up_to_20_000(n, is_judged):
    found = failed(with_level(n, blocks_ms=100.0), Targets(level_ms={}))

    assert found == ([f"target response, p95 of blocks at {n:,}"] if is_judged else [])


@pytest.mark.parametrize("statistic", ["mean", "p95", "p99"])
def test_the_requested_statistic_is_judged(statistic):
    names = ("mean", "p95", "p99")
    times = Times(
        **{f"{each}_ms": 20.0 if each == statistic else 1.0 for each in names},
        worst_ms=99.0,
        n_rounds=20,
    )
    slow = with_level(500, blocks=replace(measurement(1.0), times=times))

    assert failed(slow, Targets(statistic=statistic)) == [f"{statistic} of blocks at 500"]
    others = [each for each in names if each != statistic]
    assert [failed(slow, Targets(statistic=each)) for each in others] == [[], []]


def test_single_checks_are_compared_with_the_sequential_engine():
    slower = with_level(5_000, singles=measurement(500.0))

    assert failed(slower) == ["p95 of single checks at 5,000, compared with one by one"]


@pytest.mark.parametrize("way", ["blocks", "singles"])
def test_a_check_without_an_answer_fails(way):
    assert failed(with_level(500, **{way: measurement(1.0, n_failed=1)})) == [
        "checks of all levels without an answer"
    ]


@pytest.mark.parametrize("ratio", [0.7, 0.0, None])
def test_a_hit_ratio_that_is_not_above_70_percent_or_not_counted_fails(ratio):
    colder = replace(GOOD, repeats=replace(GOOD.repeats, hit_ratio=ratio))

    assert failed(colder) == ["hit ratio on repeats of a costly measure"]


def test_a_backlog_fails():
    left = replace(GOOD, normal=replace(GOOD.normal, depth_after=1))
    late = (LaneSample(0.0, 1, 1.01), LaneSample(0.1, 0, 0.0))
    old = replace(GOOD, normal=replace(GOOD.normal, samples=late))

    assert failed(left) == ["lane empty after normal load"]
    assert failed(old) == ["longest wait for a worker at normal load"]


@pytest.mark.parametrize(("own_ms", "status_ms"), [(70.0, 45.0), (49.0, 70.0)])
def test_a_status_two_buckets_off_fails(own_ms, status_ms):
    """Buckets end at 50, 60 and 120 ms."""
    off = replace(GOOD.normal, percentiles=(PercentilePair(95, own_ms, status_ms),))

    assert failed(replace(GOOD, normal=off)) == ["p95 by status and by the users' clocks"]


@pytest.mark.parametrize("kills", [Kills((1.0,), ((0.0, 1.0),), 10_000, 11), Kills((), (), 10, 0)])
def test_less_than_99_9_percent_fails_and_so_does_a_run_without_kills(kills):
    assert failed(replace(GOOD, kills=kills)) == ["availability while workers are killed"]


def test_capacity_below_four_fifths_of_linear_fails():
    """For each number of workers; the standard set is reported and not judged."""
    scaling = Scaling((1, 2, 4), (100.0, 100.0, 100.0), (100.0, 159.0, 330.0))

    assert failed(replace(GOOD, scaling=scaling)) == ["capacity of 2 workers"]


def test_a_stage_that_did_not_run_is_not_judged():
    criteria = judge(Figures(GOOD.levels), TARGETS)

    assert [one.found for one in criteria if one.passed is None] == ["not run"] * 6


def test_scaling_is_not_judged_on_one_core():
    alone = judge(replace(GOOD, scaling=Scaling((1,), (1.0,), (1.0,))), TARGETS)

    assert [one.name for one in alone if one.passed is None] == ["capacity by workers"]


def test_without_times_only_criteria_without_a_clock_are_judged():
    slow = with_level(500, blocks_ms=1e6)
    kept = [one.name for one in judge(slow, Targets(timed=False)) if one.passed is not None]

    assert kept == [
        "checks of all levels without an answer",
        "hit ratio on repeats of a costly measure",
        "lane empty after normal load",
        "availability while workers are killed",
    ]


@pytest.mark.parametrize(
    ("passed", "line", "code"),
    [
        ([True, None], "PASS: 1 passed, 0 failed, 1 not judged", 0),
        ([True, False], "FAIL: 1 passed, 1 failed, 0 not judged", 1),
        ([None], "FAIL: 0 passed, 0 failed, 1 not judged", 1),
    ],
)
def test_the_verdict_and_the_exit_code_follow_from_the_criteria(passed, line, code):
    """Without a judged criterion the run fails."""
    criteria = [Criterion("", "", "", each) for each in passed]

    assert verdict(criteria) == line
    assert Report(GOOD, criteria, {}).exit_code == code


def test_without_a_request_for_a_verdict_there_is_none():
    report = Report(GOOD, None, {})

    assert report.verdict.startswith("NOT JUDGED")
    assert report.exit_code == 0
