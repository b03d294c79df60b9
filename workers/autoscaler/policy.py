"""The number of workers, as a pure function of signals, time and state.

Up fast: enough workers to finish waiting work within the target of its lane, but one step
multiplies the workers by a bounded factor. Down slowly: one worker at a time, after a cooldown for
each. Without signals nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from risk_tasks.queues import Lane

#: from this share of busy time on, workers have no room for more work
_FULL_SHARE = 0.9
#: the busy share that the remaining workers may reach when one is removed: far below
#: `_FULL_SHARE`, so that the number of workers does not oscillate
_ROOMY_SHARE = 0.7
#: no block may wait longer than this part of its target when a worker is removed
_IDLE_PART = 0.5


class Direction(StrEnum):
    """What a decision changes."""

    UP = "up"
    DOWN = "down"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The aims of scaling.

    `targets_s`: seconds within which the waiting work of a lane must be finished. `up_factor`: the
    largest factor of one step up. `cooldown_s`: how long one worker must be superfluous before it
    is removed. `settle_s`: how long a step up is given to show its effect, before the age of a
    block or the busy share may cause another one.
    """

    min_workers: int
    max_workers: int
    targets_s: Mapping[Lane, float]
    up_factor: float
    cooldown_s: float
    settle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What was measured, by lane or over all workers.

    `n_workers`: all workers; `n_ready`: those of them that serve. `oldest_age_s`: None for an empty
    lane. `work_s`: seconds of one thread for all that waits or runs; None while the cost of a check
    is unknown. `busy_share`: of the workers' threads, from 0 to 1; None where it was not measured.
    `busy_by_host`: the same by host.
    """

    n_workers: int
    n_ready: int
    oldest_age_s: Mapping[Lane, float | None]
    work_s: Mapping[Lane, float] | None
    busy_share: float | None
    busy_by_host: Mapping[str, float] = field(default_factory=dict)

    def totals(self) -> dict[str, Any]:
        """Return the signals over all lanes, rounded, for logs and reports."""
        ages = [age_s for age_s in self.oldest_age_s.values() if age_s is not None]
        return {
            "workers": self.n_workers,
            "oldest_age_s": round(max(ages), 3) if ages else None,
            "work_s": None if self.work_s is None else round(sum(self.work_s.values()), 3),
            "busy_share": None if self.busy_share is None else round(self.busy_share, 3),
        }


@dataclass(frozen=True, slots=True)
class State:
    """What the policy remembers: since when a worker is superfluous, and the last step up."""

    idle_since_s: float | None = None
    last_up_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class Decision:
    """`wanted` workers, None where the present number is unknown; `reason` is one word."""

    direction: Direction
    reason: str
    wanted: int | None


def decide(
    policy: Policy, state: State, signals: Signals | None, now_s: float
) -> tuple[State, Decision]:
    """Return the next state and the decision; `now_s` is of a monotonic clock."""
    busy = replace(state, idle_since_s=None)
    if signals is None:
        return busy, Decision(Direction.HOLD, "no_signals", None)
    n = signals.n_workers
    wanted, reason = _more(policy, state, signals, now_s)
    if wanted > n:
        return State(None, now_s), Decision(Direction.UP, reason, wanted)
    if n > policy.max_workers:
        return busy, Decision(Direction.DOWN, "too_many", n - 1)
    if not reason and n > policy.min_workers and _is_one_superfluous(policy, signals):
        return _fewer(policy, state, n, now_s)
    held = "at_maximum" if reason else "at_minimum" if n <= policy.min_workers else "needed"
    return busy, Decision(Direction.HOLD, held, n)


def _fewer(policy: Policy, state: State, n: int, now_s: float) -> tuple[State, Decision]:
    """Remove one worker after a cooldown; the next one needs a cooldown of its own."""
    since_s = now_s if state.idle_since_s is None else state.idle_since_s
    if now_s - since_s < policy.cooldown_s:
        return replace(state, idle_since_s=since_s), Decision(Direction.HOLD, "cooldown", n)
    return replace(state, idle_since_s=now_s), Decision(Direction.DOWN, "idle", n - 1)


def _more(policy: Policy, state: State, signals: Signals, now_s: float) -> tuple[int, str]:
    """Return the workers that are needed at least, and why; no reason where these are enough."""
    n = signals.n_workers
    if n < policy.min_workers:
        return policy.min_workers, "too_few"
    step = max(n + 1, math.floor(n * policy.up_factor))
    most = min(step, policy.max_workers)
    needed = _needed(policy, signals)
    if needed is not None and needed > n:
        return min(needed, most), "backlog"
    if signals.n_ready < n or now_s - state.last_up_s < policy.settle_s:
        # The workers of the last step have not had time to show their effect.
        return n, ""
    waits = {lane: age_s for lane, age_s in signals.oldest_age_s.items() if age_s is not None}
    if any(age_s > policy.targets_s[lane] for lane, age_s in waits.items()):
        return (most if needed is None else min(n + 1, most)), "oldest_age"
    if waits and signals.busy_share is not None and signals.busy_share >= _FULL_SHARE:
        return min(n + 1, most), "busy"
    return n, ""


def _needed(policy: Policy, signals: Signals) -> int | None:
    """Return the number of threads that do all work within its targets."""
    if signals.work_s is None:
        return None
    threads = sum(work_s / policy.targets_s[lane] for lane, work_s in signals.work_s.items())
    return math.ceil(threads)


def _is_one_superfluous(policy: Policy, signals: Signals) -> bool:
    """Return whether one worker fewer would be enough, with room."""
    needed, remaining = _needed(policy, signals), signals.n_workers - 1
    if needed is None or needed > remaining:
        return False
    if any(
        age_s is not None and age_s > _IDLE_PART * policy.targets_s[lane]
        for lane, age_s in signals.oldest_age_s.items()
    ):
        return False
    return (signals.busy_share or 0.0) * signals.n_workers <= _ROOMY_SHARE * remaining
