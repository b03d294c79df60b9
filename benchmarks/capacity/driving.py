"""Real users on a real fleet, and the processor time of its processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.capacity.loads import CapacityLoad
from benchmarks.capacity.processor_time import spent_s
from benchmarks.load.books import publish
from risk_tasks.client import RiskClient
from risk_tasks.embedding import Fleet


@dataclass(frozen=True, slots=True)
class Driven:
    """Results of the users, and processor seconds per call by kind of process."""

    n_calls: int
    calls_per_s: float
    p50_s: float
    client_s: float
    server_s: float
    worker_s: float


def prepare(fleet: Fleet) -> None:
    with RiskClient(fleet.url, timeout_s=60) as risk:
        publish(risk)


def drive(
    fleet: Fleet, load: CapacityLoad, n_checks: int, *, n_users: int, lasting_s: float
) -> Driven:
    """Let `n_users` processes call, each sequentially."""
    pids = fleet.pids
    workers = [pid for name, pid in pids.items() if name.startswith("worker")]
    with ExitStack() as stack:
        users = [
            stack.enter_context(_user(fleet.url, load.name, n_checks, lasting_s))
            for _ in range(n_users)
        ]
        for user in users:
            if user.stdout is None or user.stdout.readline().strip() != "ready":
                raise RuntimeError("A user did not start.")
        before = _spent(pids["server"], workers)
        for user in users:
            user.stdin.write("go\n")  # type: ignore[union-attr]
            user.stdin.flush()  # type: ignore[union-attr]
        done = [json.loads(user.stdout.readline()) for user in users]  # type: ignore[union-attr]
        after = _spent(pids["server"], workers)
    took_s = [each for one in done for each in one["took_s"]]
    n = len(took_s)
    server_s, worker_s = (late - early for late, early in zip(after, before, strict=True))
    return Driven(
        n_calls=n,
        calls_per_s=sum(len(one["took_s"]) / one["lasted_s"] for one in done),
        p50_s=statistics.median(took_s),
        client_s=sum(one["cpu_s"] for one in done) / n,
        server_s=server_s / n,
        worker_s=worker_s / n,
    )


def _spent(server: int, workers: Sequence[int]) -> tuple[float, float]:
    return spent_s(server), sum(map(spent_s, workers))


def _user(url: str, load: str, n_checks: int, lasting_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.capacity.user", url, load]
    return subprocess.Popen(
        [*command, str(n_checks), str(lasting_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
