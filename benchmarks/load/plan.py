"""What is asked of the system, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: how many checks are outstanding at once
LEVELS = (500, 1_000, 5_000, 20_000, 50_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of all stages; `full` and `quick` return the two that are run."""

    users: int
    levels: tuple[int, ...]
    #: times that a level is asked on the block path
    rounds: int
    #: times that it is asked in single checks, and of the sequential engine
    rounds_beside: int
    #: costly portfolios, asked first once and then so often again
    costly: int
    repeats: int
    #: how long normal load goes on
    normal_s: float
    kills: int
    #: checks in a call while workers are killed, and calls a second of each user
    calls_of: int
    calls_per_s: float
    #: portfolios of one call where workers are counted, and calls for each number of them
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
    """Return the plan for `users` of at most `most` checks each, on so many cores.

    Levels above what all users may ask are left out, and what all may ask is the last one.
    """
    plan = QUICK if quick else FULL
    largest = users * most
    levels = [level for level in plan.levels if users <= level < largest]
    if not quick or not levels:
        levels.append(largest)
    workers = tuple(n for n in (1, 2, 4, 8) if n <= max(cores, 1))
    return replace(plan, users=users, levels=tuple(levels), workers=workers)
