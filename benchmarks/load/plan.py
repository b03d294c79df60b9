"""The calls of the load test, and their number."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: checks outstanding at once
LEVELS = (500, 1_000, 5_000, 20_000, 50_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of all stages; `full` and `quick` return the two plans."""

    users: int
    levels: tuple[int, ...]
    #: rounds of a level on the block path
    rounds: int
    #: rounds of a level in single checks, and of the sequential engine
    rounds_beside: int
    #: costly portfolios: one first call, and the number of repeats
    costly: int
    repeats: int
    #: seconds of normal load
    normal_s: float
    kills: int
    #: checks in a call while workers are killed, and calls per second of each user
    calls_of: int
    calls_per_s: float
    #: portfolios of one call in the scaling stage, and calls for each number of workers
    scaling_of: int
    scaling_rounds: int
    #: numbers of workers that are compared
    workers: tuple[int, ...]


FULL = Plan(
    users=10,
    levels=LEVELS,
    rounds=20,
    rounds_beside=5,
    costly=500,
    repeats=9,
    normal_s=15.0,
    kills=6,
    calls_of=20,
    calls_per_s=5.0,
    scaling_of=20_000,
    scaling_rounds=9,
    workers=(1, 2),
)
QUICK = replace(
    FULL,
    levels=(50, 200),
    rounds=3,
    rounds_beside=2,
    costly=20,
    repeats=4,
    normal_s=1.0,
    kills=1,
    scaling_of=200,
    scaling_rounds=2,
)


def planned(*, users: int, most: int, cores: int, quick: bool = False) -> Plan:
    """Return the plan for `users` with at most `most` checks each on a number of cores.

    Levels above the total of all users are left out; the total is the last level.
    """
    plan = QUICK if quick else FULL
    largest = users * most
    levels = [level for level in plan.levels if users <= level < largest]
    if not quick or not levels:
        levels.append(largest)
    workers = tuple(n for n in (1, 2, 4, 8) if n <= max(cores, 1))
    return replace(plan, users=users, levels=tuple(levels), workers=workers)
