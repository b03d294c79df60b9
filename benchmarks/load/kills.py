"""Workers killed by SIGKILL under load, and restarted as `dev` does."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from benchmarks.load.books import table_requests
from benchmarks.load.driving import Schedule, drive
from benchmarks.load.figures import Kills
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.embedding import Fleet
from risk_tasks.embedding.fleet import RoleProcess
from risk_tasks.store.roles import RoleStore

#: an answer within this time counts
ANSWER_WITHIN_S = 10.0
_POLL_S = 0.1
#: the workers of all lanes
_NAME = re.compile(r"worker-\d+")
_SERVES_WITHIN_S = 60.0
#: load before the first kill, and between a restarted worker that is ready and the next kill
_CALM_S = 1.0


def measure(fleet: Fleet, tables: Sequence[pa.Table], n_kills: int, calls_per_s: float) -> Kills:
    """Kill the workers of `fleet` sequentially while every user calls at a steady rate."""
    over, killed_at = threading.Event(), list[float]()
    with RiskClient(fleet.url, timeout_s=ANSWER_WITHIN_S) as risk:
        requests = table_requests(risk, tables)
        for request in requests:
            request()
        schedule = Schedule.soon(1 / calls_per_s)
        killer = threading.Thread(target=_kill, args=(fleet, n_kills, killed_at, over))
        with reviving(fleet):
            killer.start()
            calls = drive(requests, schedule, lambda _: not over.is_set())
            killer.join()
    return Kills(
        tuple(at_s - schedule.first_s for at_s in killed_at),
        tuple((call.due_s - schedule.first_s, call.took_s) for call in calls),
        sum(call.n_checks for call in calls),
        sum(call.n_failed for call in calls),
    )


def _kill(fleet: Fleet, n_kills: int, killed_at: list[float], over: threading.Event) -> None:
    workers = [each for each in fleet.processes if _NAME.fullmatch(each.name)]
    try:
        with connect(fleet.url) as client:
            roles = RoleStore(client)
            for number in range(n_kills):
                time.sleep(_CALM_S)
                worker = workers[number % len(workers)]
                pid = worker.pid
                os.kill(pid, signal.SIGKILL)
                killed_at.append(time.perf_counter())
                _await_another(worker, pid, roles)
            time.sleep(_CALM_S)
    finally:
        over.set()


def _await_another(worker: RoleProcess, pid: int, roles: RoleStore) -> None:
    """Wait until the process that replaces `pid` reports that it is ready."""
    give_up_s = time.monotonic() + _SERVES_WITHIN_S
    while time.monotonic() < give_up_s:
        if worker.pid != pid and worker.pid in {role.pid for role in roles.running()}:
            return
        time.sleep(_POLL_S)


@contextmanager
def reviving(fleet: Fleet) -> Iterator[None]:
    """Restart processes that end."""
    over = threading.Event()

    def revive() -> None:
        while not over.wait(_POLL_S):
            fleet.revive()

    thread = threading.Thread(target=revive)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
