"""Which signals lead to which decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.queues import Lane
from tests.unit.autoscaler.policies import POLICY, signals
from workers.autoscaler.policy import Decision, Direction, State, decide

UP, DOWN, HOLD = Direction.UP, Direction.DOWN, Direction.HOLD
NORMAL, BATCH = Lane.NORMAL, Lane.BATCH


def decided(seen, state=None, now_s: float = 1_000.0) -> Decision:
    return decide(POLICY, state or State(), seen, now_s)[1]


@pytest.mark.parametrize(
    ("seen", "decision"),
    [
        (signals(2), Decision(HOLD, "cooldown", 2)),
        (signals(1), Decision(HOLD, "at_minimum", 1)),
        (signals(0), Decision(UP, "too_few", 1)),
        (signals(9), Decision(DOWN, "too_many", 8)),
        (signals(2, work_s={NORMAL: 4.0}), Decision(HOLD, "needed", 2)),
        (signals(2, work_s={NORMAL: 4.1}), Decision(UP, "backlog", 3)),
        (signals(2, work_s={NORMAL: 60.0}), Decision(UP, "backlog", 4)),
        (signals(2, work_s={BATCH: 60.0}), Decision(HOLD, "needed", 2)),
        (signals(2, work_s={NORMAL: 2.0, BATCH: 60.0}), Decision(UP, "backlog", 3)),
        (signals(8, work_s={NORMAL: 60.0}), Decision(HOLD, "at_maximum", 8)),
        (signals(2, oldest_age_s={NORMAL: 2.1}), Decision(UP, "oldest_age", 3)),
        (signals(2, oldest_age_s={BATCH: 20.0}), Decision(HOLD, "needed", 2)),
        (signals(2, oldest_age_s={NORMAL: 2.1}, work_s=None), Decision(UP, "oldest_age", 4)),
        (signals(2, oldest_age_s={NORMAL: 0.1}, work_s=None), Decision(HOLD, "needed", 2)),
        (signals(2, oldest_age_s={NORMAL: 0.1}, busy_share=0.95), Decision(UP, "busy", 3)),
        (signals(2, busy_share=0.95), Decision(HOLD, "needed", 2)),
        (signals(2, busy_share=0.36), Decision(HOLD, "needed", 2)),
        (signals(2, busy_share=0.35), Decision(HOLD, "cooldown", 2)),
        (signals(2, busy_share=None), Decision(HOLD, "cooldown", 2)),
        (None, Decision(HOLD, "no_signals", None)),
    ],
)
def test_signals_have_a_decision_and_a_reason(seen, decision):
    """With 1 to 8 workers, a target of 2 s (batch lane: 30 s), and a largest factor of 2."""
    assert decided(seen) == decision


def test_a_step_up_is_given_time_unless_the_work_determines_the_number():
    """Until the new workers serve and have settled; a counted backlog does not wait."""
    late = {"oldest_age_s": {NORMAL: 5.0}}
    stepped = State(None, 995.0)

    assert decided(signals(2, **late), stepped) == Decision(HOLD, "needed", 2)
    assert decided(signals(2, **late), stepped, 1_005.0) == Decision(UP, "oldest_age", 3)
    assert decided(signals(2, n_ready=1, **late)) == Decision(HOLD, "needed", 2)
    assert decided(signals(2, n_ready=1, work_s={NORMAL: 6.0}), stepped).direction is UP


def after(*seen, every_s: float = 2.0) -> list[Decision]:
    """Return the decisions on a sequence of signals."""
    state, decisions = State(), []
    for step, each in enumerate(seen):
        state, decision = decide(POLICY, state, each, step * every_s)
        decisions.append(decision)
    return decisions


def test_a_cooldown_is_uninterrupted_and_starts_again_for_each_worker():
    """A cooldown of 60 s is 31 steps from the first to the last."""
    idle, busy = signals(4), signals(4, work_s={NORMAL: 7.0})

    whole = [decision.direction for decision in after(*[idle] * 61)]
    assert [step for step, direction in enumerate(whole) if direction is DOWN] == [30, 60]
    broken = after(*[idle] * 30, busy, *[idle] * 30)
    assert {decision.direction for decision in broken} == {HOLD}
    unseen = after(*[idle] * 30, None, *[idle] * 30)
    assert {decision.direction for decision in unseen} == {HOLD}


ages = st.none() | st.floats(0, 100)
any_signals = st.none() | st.integers(0, 12).flatmap(
    lambda n: st.builds(
        lambda **seen: signals(n, **seen),
        n_ready=st.integers(0, n),
        oldest_age_s=st.fixed_dictionaries(dict.fromkeys(Lane, ages)),
        work_s=st.none() | st.fixed_dictionaries(dict.fromkeys(Lane, st.floats(0, 1e4))),
        busy_share=st.none() | st.floats(0, 1),
    )
)
states = st.builds(State, st.none() | st.floats(0, 1_000), st.floats(0, 1_000))


@given(any_signals, states, st.floats(1_000, 2_000))
def test_bounds_hold_and_steps_are_bounded_for_any_signals(seen, state, now_s):
    decision = decided(seen, state, now_s)

    if seen is None:
        assert decision == Decision(HOLD, "no_signals", None)
        return
    n, wanted = seen.n_workers, decision.wanted
    assert {UP: wanted > n, DOWN: wanted == n - 1, HOLD: wanted == n}[decision.direction]
    if decision.direction is UP:
        assert wanted <= POLICY.max_workers
        assert wanted <= max(2 * n, n + 1, POLICY.min_workers)
    if decision.direction is DOWN:
        assert wanted >= POLICY.min_workers
    assert decision.reason


rising = st.lists(
    st.tuples(st.floats(0, 5), st.floats(0, 40), st.floats(0, 0.1)), min_size=1, max_size=60
)


@given(rising, st.integers(1, 8))
def test_rising_signals_never_remove_a_worker(steps, n):
    """Age, work and busy share rise, in a fleet that was not too large at the start."""
    state, age_s, work_s, busy = State(), 0.0, 2.0 * n, 0.0
    for step, (older_s, more_s, busier) in enumerate(steps):
        age_s, work_s, busy = age_s + older_s, work_s + more_s, min(busy + busier, 1.0)
        seen = signals(n, oldest_age_s={NORMAL: age_s}, work_s={NORMAL: work_s}, busy_share=busy)
        state, decision = decide(POLICY, state, seen, step * 30.0)
        assert decision.direction is not DOWN
        n = decision.wanted


@given(st.integers(1, 30))
def test_an_idle_fleet_shrinks_to_the_minimum_and_stays_there(n):
    state, now_s = State(), 0.0
    for _ in range(31 * 30):
        state, decision = decide(POLICY, state, signals(n), now_s)
        now_s, n = now_s + 2.0, decision.wanted

    assert (n, decision.reason) == (POLICY.min_workers, "at_minimum")
