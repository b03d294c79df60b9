"""How many workers there should be: a pure function of what is seen, of the time, and of a state.

Up fast: what waits must be done within its lane's target, and a step at most multiplies. Down
slowly: one worker at a time, each after a calm of its own. Nothing changes on signals that cannot
be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from risk_tasks.queues import Lane

#: all workers are busy for this share of their time: they have no room for more
_FULL_SHARE = 0.9
#: how busy those that stay may become when one goes: far below the above, or it would come back
_ROOMY_SHARE = 0.7
#: nothing may wait longer than this part of its target where a worker is to go
_CALM_PART = 0.5


class Direction(StrEnum):
    """What a decision does."""

    UP = "up"
    DOWN = "down"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is wanted. `targets_s`: within which time what waits in a lane is to be done.

    `up_factor`: one step multiplies the workers by this at most. `calm_s`: how long it must be calm
    before a worker goes. `settle_s`: after a step up, how long its effect is awaited where the work
    that waits does not itself say how many are needed.
    """

    min_workers: int
    max_workers: int
    targets_s: Mapping[Lane, float]
    up_factor: float
    calm_s: float
    settle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is seen. Ages and work by lane; an age is None where nothing waits.

    `n_workers`: that are meant to run; `n_ready`: of those, that serve. `work_s`: seconds of one
    thread for what waits or runs; None where it is not known yet what a check costs. `busy_share`:
    of the workers' threads, from 0 to 1; None where nobody has measured it.
    """

    n_workers: int
    n_ready: int
    oldest_age_s: Mapping[Lane, float | None]
    work_s: Mapping[Lane, float] | None
    busy_share: float | None


@dataclass(frozen=True, slots=True)
class State:
    """What the policy remembers: since when it is calm, and when it last asked for more."""

    calm_since_s: float | None = None
    last_up_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class Decision:
    """`wanted` workers, or None where that could not be told; `reason` is one word."""

    direction: Direction
    reason: str
    wanted: int | None


def decide(
    policy: Policy, state: State, seen: Signals | None, now_s: float
) -> tuple[State, Decision]:
    """Return what to do about `seen` at `now_s`, of any clock that does not go back."""
    unrest = replace(state, calm_since_s=None)
    if seen is None:
        return unrest, Decision(Direction.HOLD, "blind", None)
    n = seen.n_workers
    wanted, reason = _more(policy, state, seen, now_s)
    if wanted > n:
        return State(None, now_s), Decision(Direction.UP, reason, wanted)
    if n > policy.max_workers:
        return unrest, Decision(Direction.DOWN, "too_many", n - 1)
    if not reason and n > policy.min_workers and _calm(policy, seen):
        return _fewer(policy, state, n, now_s)
    held = "at_maximum" if reason else "at_minimum" if n <= policy.min_workers else "needed"
    return unrest, Decision(Direction.HOLD, held, n)


def _fewer(policy: Policy, state: State, n: int, now_s: float) -> tuple[State, Decision]:
    """Return that one goes, where it has been calm for long enough; the next waits as long."""
    since_s = now_s if state.calm_since_s is None else state.calm_since_s
    if now_s - since_s < policy.calm_s:
        return replace(state, calm_since_s=since_s), Decision(Direction.HOLD, "calm", n)
    return replace(state, calm_since_s=now_s), Decision(Direction.DOWN, "calm", n - 1)


def _more(policy: Policy, state: State, seen: Signals, now_s: float) -> tuple[int, str]:
    """Return how many workers there should be at the least, and why; no reason where these do."""
    n = seen.n_workers
    if n < policy.min_workers:
        return policy.min_workers, "too_few"
    step = max(n + 1, math.floor(n * policy.up_factor))
    most = min(step, policy.max_workers)
    needed = _needed(policy, seen)
    if needed is not None and needed > n:
        return min(needed, most), "backlog"
    if seen.n_ready < n or now_s - state.last_up_s < policy.settle_s:
        # Those that were asked for last are still to show what they do.
        return n, ""
    waits = {lane: age_s for lane, age_s in seen.oldest_age_s.items() if age_s is not None}
    if any(age_s > policy.targets_s[lane] for lane, age_s in waits.items()):
        return (most if needed is None else min(n + 1, most)), "oldest_age"
    if waits and seen.busy_share is not None and seen.busy_share >= _FULL_SHARE:
        return min(n + 1, most), "busy"
    return n, ""


def _needed(policy: Policy, seen: Signals) -> int | None:
    """Return how many threads do all work within its targets."""
    if seen.work_s is None:
        return None
    threads = sum(work_s / policy.targets_s[lane] for lane, work_s in seen.work_s.items())
    return math.ceil(threads)


def _calm(policy: Policy, seen: Signals) -> bool:
    """Whether one worker fewer would do, with room."""
    needed, left = _needed(policy, seen), seen.n_workers - 1
    if needed is None or needed > left:
        return False
    if any(
        age_s is not None and age_s > _CALM_PART * policy.targets_s[lane]
        for lane, age_s in seen.oldest_age_s.items()
    ):
        return False
    return (seen.busy_share or 0.0) * seen.n_workers <= _ROOMY_SHARE * left
