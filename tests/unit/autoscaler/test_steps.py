"""Loads that step up and down, through a simple model of a queue: times here are the model's."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.autoscaler.policies import POLICY
from tests.unit.autoscaler.queue_model import simulate

#: what one worker of the model does in a second
CAPACITY = 100.0
BEGINS_S = 20.0


def stepped(workers: float, lasts_s: float):
    """A load that keeps so many workers busy, for a while."""
    return lambda now_s: workers * CAPACITY if BEGINS_S <= now_s < BEGINS_S + lasts_s else 0.0


@pytest.mark.parametrize("workers", [1.5, 2.5, 4.0, 7.5])
def test_a_step_is_met_within_ten_seconds_and_left_again(workers):
    run = simulate(POLICY, stepped(workers, 120), 900)
    first_s = run.changes[0][0] - BEGINS_S

    assert 0 < first_s <= 10
    assert max(after for _, _, after in run.changes) >= workers
    assert run.n_workers == POLICY.min_workers
    assert run.turns == 1
    assert run.done == pytest.approx(run.arrived)


def test_workers_go_one_at_a_time_and_each_after_its_calm():
    run = simulate(POLICY, stepped(6, 60), 900)
    downs = [(moment, before - after) for moment, before, after in run.changes if after < before]
    pauses = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(downs)]

    assert {fewer for _, fewer in downs} == {1}
    assert min(pauses) >= POLICY.calm_s
    assert len(downs) >= 5


def test_a_load_that_stays_is_served_and_the_number_of_workers_comes_to_rest():
    """The last third of a long load sees no change."""
    run = simulate(POLICY, stepped(2.5, 1e9), 1_800)

    assert [change for change in run.changes if change[0] > 1_200] == []
    assert run.n_workers >= 3


def test_more_than_all_can_do_stops_at_the_most():
    run = simulate(POLICY, stepped(50, 1e9), 300)

    assert run.n_workers == POLICY.max_workers
    assert all(after > before for _, before, after in run.changes)


@given(
    workers=st.floats(0.1, 12),
    lasts_s=st.floats(5, 150),
    calm_s=st.sampled_from([4.0, 20.0, 60.0]),
    starts_within_s=st.floats(0, 15),
)
def test_one_step_never_turns_the_workers_twice(workers, lasts_s, calm_s, starts_within_s):
    """Up and down again; all is done, and quiet ends at the least."""
    policy = replace(POLICY, calm_s=calm_s)
    run = simulate(policy, stepped(workers, lasts_s), 1_000, starts_within_s=starts_within_s)

    assert run.turns <= 1
    assert all(policy.min_workers <= after <= policy.max_workers for _, _, after in run.changes)
    assert run.n_workers == policy.min_workers
    assert run.done == pytest.approx(run.arrived)
