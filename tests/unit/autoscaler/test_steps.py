"""Loads that step up and down, in a simple model of a queue with its own time."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.autoscaler.policies import POLICY
from tests.unit.autoscaler.queue_model import simulate

#: checks a second of one worker in the model
CAPACITY = 100.0
STARTS_AT_S = 20.0


def stepped(workers: float, lasts_s: float):
    """A load that keeps a number of workers busy for `lasts_s`."""
    return lambda now_s: workers * CAPACITY if STARTS_AT_S <= now_s < STARTS_AT_S + lasts_s else 0.0


@pytest.mark.parametrize("workers", [1.5, 2.5, 4.0, 7.5])
def test_workers_follow_a_step_within_ten_seconds_and_are_removed_again(workers):
    run = simulate(POLICY, stepped(workers, 120), 900)
    first_s = run.changes[0][0] - STARTS_AT_S

    assert 0 < first_s <= 10
    assert max(after for _, _, after in run.changes) >= workers
    assert run.n_workers == POLICY.min_workers
    assert run.turns == 1
    assert run.done == pytest.approx(run.arrived)


def test_workers_are_removed_one_at_a_time_after_a_cooldown_each():
    run = simulate(POLICY, stepped(6, 60), 900)
    downs = [(moment, before - after) for moment, before, after in run.changes if after < before]
    pauses = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(downs)]

    assert {fewer for _, fewer in downs} == {1}
    assert min(pauses) >= POLICY.cooldown_s
    assert len(downs) >= 5


def test_a_constant_load_is_served_by_a_constant_number_of_workers():
    """In the last third of a long load nothing changes."""
    run = simulate(POLICY, stepped(2.5, 1e9), 1_800)

    assert [change for change in run.changes if change[0] > 1_200] == []
    assert run.n_workers >= 3


def test_an_overload_stops_at_the_maximum():
    run = simulate(POLICY, stepped(50, 1e9), 300)

    assert run.n_workers == POLICY.max_workers
    assert all(after > before for _, before, after in run.changes)


@given(
    workers=st.floats(0.1, 12),
    lasts_s=st.floats(5, 150),
    cooldown_s=st.sampled_from([4.0, 20.0, 60.0]),
    starts_within_s=st.floats(0, 15),
)
def test_one_step_of_load_changes_direction_once(workers, lasts_s, cooldown_s, starts_within_s):
    """All work is done, and the idle fleet ends at the minimum."""
    policy = replace(POLICY, cooldown_s=cooldown_s)
    run = simulate(policy, stepped(workers, lasts_s), 1_000, starts_within_s=starts_within_s)

    assert run.turns <= 1
    assert all(policy.min_workers <= after <= policy.max_workers for _, _, after in run.changes)
    assert run.n_workers == policy.min_workers
    assert run.done == pytest.approx(run.arrived)
