"""A simple model of a lane and its workers in small steps of time, to run policies on."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from risk_tasks.queues import Lane
from workers.autoscaler.policy import Direction, Policy, Signals, State, decide

STEP_S = 0.1
DECIDE_EVERY_S = 2.0
WINDOW_S = 10.0


@dataclass
class Run:
    """The result: (moment, workers before, workers after) of each change, and the longest wait."""

    changes: list[tuple[float, int, int]] = field(default_factory=list)
    n_workers: int = 0
    arrived: float = 0.0
    done: float = 0.0
    longest_wait_s: float = 0.0

    @property
    def turns(self) -> int:
        """The number of changes of direction."""
        signs = [after > before for _, before, after in self.changes]
        return sum(one != other for one, other in itertools.pairwise(signs))


def simulate(
    policy: Policy,
    load: Callable[[float], float],
    seconds: float,
    *,
    work_per_check_s: float = 0.01,
    starts_within_s: float = 5.0,
) -> Run:
    """Run `load`, checks a second at a moment, through workers that `policy` adds and drains.

    A check takes one thread `work_per_check_s`; a new worker serves after `starts_within_s`.
    """
    run, state = Run(n_workers=policy.min_workers), State()
    serves_from = [0.0] * policy.min_workers
    waiting: deque[list[float]] = deque()  # [when accepted, checks]
    busy: deque[float] = deque(maxlen=int(WINDOW_S / STEP_S))
    for step in range(int(seconds / STEP_S)):
        now_s = step * STEP_S
        come = load(now_s) * STEP_S
        run.arrived += come
        if come:
            waiting.append([now_s, come])
        ready = sum(moment <= now_s for moment in serves_from)
        room = can = ready * STEP_S / work_per_check_s
        while waiting and room > 0:
            taken = min(room, waiting[0][1])
            waiting[0][1] -= taken
            room -= taken
            run.done += taken
            if waiting[0][1] <= 1e-12:
                waiting.popleft()
        busy.append((can - room) / can if can else 1.0)
        age_s = now_s - waiting[0][0] if waiting else None
        run.longest_wait_s = max(run.longest_wait_s, age_s or 0.0)
        if step % round(DECIDE_EVERY_S / STEP_S):
            continue
        seen = Signals(
            n_workers=run.n_workers,
            n_ready=ready,
            oldest_age_s={Lane.NORMAL: age_s},
            work_s={Lane.NORMAL: sum(n for _, n in waiting) * work_per_check_s},
            busy_share=sum(busy) / len(busy),
        )
        state, decision = decide(policy, state, seen, now_s)
        if decision.direction is Direction.HOLD:
            continue
        run.changes.append((now_s, run.n_workers, decision.wanted))
        serves_from += [now_s + starts_within_s] * (decision.wanted - run.n_workers)
        del serves_from[decision.wanted :]
        run.n_workers = decision.wanted
    return run
