"""Users that call on a fixed schedule.

The load is open: each call has a due time that is fixed in advance, and its response time counts
from then. If the system stalls, later calls start late and their waiting time is included. This
corrects for coordinated omission. The correction of HdrHistogram adds values at an expected
interval; it is for recordings whose due times are unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from risk_tasks.histograms import Durations

#: between the start of the users and the first due call
_LEAD_S = 0.05

#: sends one call; returns the number of checks and the number without a good answer
Request = Callable[[], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The due times of calls, by `time.perf_counter`."""

    first_s: float
    every_s: float

    @classmethod
    def soon(cls, every_s: float) -> Schedule:
        return cls(time.perf_counter() + _LEAD_S, every_s)

    def due_s(self, number: int) -> float:
        return self.first_s + number * self.every_s

    def await_due(self, number: int) -> float:
        """Wait until call `number` is due, if that is not past; returns its due time."""
        due_s = self.due_s(number)
        time.sleep(max(due_s - time.perf_counter(), 0.0))
        return due_s


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its due time, and the seconds from then to its answer."""

    number: int
    due_s: float
    took_s: float
    n_checks: int
    n_failed: int


def drive(
    requests: Sequence[Request], schedule: Schedule, goes_on: Callable[[int], bool]
) -> list[Call]:
    """Let one user per request send it while `goes_on` of the number of the call is true."""

    def user(request: Request) -> list[Call]:
        calls: list[Call] = []
        while goes_on(len(calls)):
            due_s = schedule.await_due(len(calls))
            n_checks, n_failed = request()
            took_s = time.perf_counter() - due_s
            calls.append(Call(len(calls), due_s, took_s, n_checks, n_failed))
        return calls

    with ThreadPoolExecutor(len(requests)) as users:
        return [call for calls in users.map(user, requests) for call in calls]


def by_round(calls: Iterable[Call]) -> list[Durations]:
    """Return the times of the checks of each round, in order."""
    rounds: dict[int, Durations] = {}
    for call in calls:
        rounds.setdefault(call.number, Durations()).add(call.took_s, call.n_checks)
    return [rounds[number] for number in sorted(rounds)]
