"""Many changes, some of them sent twice, while workers are killed: what is lost or wrong."""

from __future__ import annotations

import os
import resource
import signal
import time
from dataclasses import dataclass

from benchmarks.live.books import Book
from benchmarks.live.plan import Plan
from benchmarks.live.pushing import Users, users
from benchmarks.live.state_check import StateCheck
from benchmarks.live.system import LaneWatch, Listener, LiveSystem
from benchmarks.load.kills import reviving
from risk_tasks.embedding import Fleet

_POLL_S, _REPORT_EVERY_S = 0.02, 5.0


@dataclass(frozen=True, slots=True)
class Exactness:
    """How many changes were sent, and how many results are wrong."""

    n_changes: int
    n_twice: int
    n_killed: int
    n_read: int
    #: seconds until all were sent, and until the last was computed
    sent_s: float
    took_s: float
    #: portfolios whose positions or versions differ from the sums
    wrong_portfolios: int
    mistakes: list[str]
    #: the highest share of its capacity that a lane held
    fullest_lane: float
    #: growth of the server's memory, most of it the ids of events
    server_grew_bytes: int
    #: peak memory of this process
    checker_bytes: int


def measure(system: LiveSystem, plan: Plan) -> Exactness:
    """Change portfolios, each by one user, and kill a worker at equal shares of the changes."""
    check = StateCheck()
    listener = Listener(system, lambda _, change: check.add(change))
    before_bytes = system.used_bytes()
    try:
        with (
            users(system.fleet.url, plan) as pushing,
            LaneWatch(system.fleet.url) as lanes,
            reviving(system.fleet),
        ):
            pushing.begin()
            started = time.perf_counter()
            n_killed = _kill(system.fleet, plan, pushing, check)
            done = pushing.done()
            sent_s = time.perf_counter() - started
            system.settle()
            took_s = time.perf_counter() - started
    finally:
        listener.finish()
    books = {name: book for one in done for name, book in one.books.items()}
    states = {(name, "net"): book.state for name, book in books.items()}
    return Exactness(
        sum(one.n_changes for one in done),
        sum(one.n_twice for one in done),
        n_killed,
        check.n,
        sent_s,
        took_s,
        sum(not _is_held(system, name, book) for name, book in books.items()),
        check.mistakes(states),
        lanes.fullest,
        system.used_bytes() - before_bytes,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    )


def _is_held(system: LiveSystem, name: str, book: Book) -> bool:
    held = system.risk.get_portfolio(name)
    return held.version == book.version and dict(held.positions) == book.positions


def _kill(fleet: Fleet, plan: Plan, pushing: Users, check: StateCheck) -> int:
    """Kill a worker after each share of the changes; returns the number of kills.

    A line of progress is printed until all changes are sent.
    """
    workers = [one for one in fleet.processes if one.name.startswith("worker-")]
    n_killed, report_at = 0, time.monotonic() + _REPORT_EVERY_S
    while not pushing.are_done:
        time.sleep(_POLL_S)
        due = (n_killed + 1) * plan.n_changes // (plan.n_kills + 1)
        worker = workers[n_killed % len(workers)]
        if n_killed < plan.n_kills and pushing.n_sent >= due and worker.is_alive:
            os.kill(worker.pid, signal.SIGKILL)
            n_killed += 1
        if time.monotonic() >= report_at:
            report_at += _REPORT_EVERY_S
            print(
                f"  {pushing.n_sent:,} of {plan.n_changes:,} sent, {check.n:,} changes of state "
                f"read, {n_killed} workers killed",
                flush=True,
            )
    return n_killed
