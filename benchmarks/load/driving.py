"""Users who ask on a schedule, whether or not they were answered in time.

The load is open: a call is due at a moment that is fixed beforehand, and its time runs from then.
A system that stalls makes later calls start late, and that they waited is in their times. This is
the correction for coordinated omission; HdrHistogram's own, which adds values that nobody measured
at an expected interval, is for recordings where the moments that were intended are not known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from risk_tasks.histograms import Durations

#: between putting users to work and the first call that is due
_LEAD_S = 0.05

#: asks once, and returns how many checks it asked and how many got no good answer
Ask = Callable[[], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When calls are due, by `time.perf_counter`."""

    first_s: float
    every_s: float

    @classmethod
    def soon(cls, every_s: float) -> Schedule:
        return cls(time.perf_counter() + _LEAD_S, every_s)

    def due_s(self, number: int) -> float:
        return self.first_s + number * self.every_s

    def await_due(self, number: int) -> float:
        """Wait until call `number` is due, which may be over, and return when it was."""
        due_s = self.due_s(number)
        time.sleep(max(due_s - time.perf_counter(), 0.0))
        return due_s


@dataclass(frozen=True, slots=True)
class Call:
    """One call: when it was due, and how long from then to its answer."""

    number: int
    due_s: float
    took_s: float
    n_checks: int
    n_failed: int


def drive(asks: Sequence[Ask], schedule: Schedule, goes_on: Callable[[int], bool]) -> list[Call]:
    """Let each of `asks` be called by a user of its own while `goes_on` of the call's number."""

    def user(ask: Ask) -> list[Call]:
        calls: list[Call] = []
        while goes_on(len(calls)):
            due_s = schedule.await_due(len(calls))
            n_checks, n_failed = ask()
            took_s = time.perf_counter() - due_s
            calls.append(Call(len(calls), due_s, took_s, n_checks, n_failed))
        return calls

    with ThreadPoolExecutor(len(asks)) as users:
        return [call for calls in users.map(user, asks) for call in calls]


def by_round(calls: Iterable[Call]) -> list[Durations]:
    """Return the times of the checks of each round, in order."""
    rounds: dict[int, Durations] = {}
    for call in calls:
        rounds.setdefault(call.number, Durations()).add(call.took_s, call.n_checks)
    return [rounds[number] for number in sorted(rounds)]
