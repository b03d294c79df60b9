"""The costs of a load, measured on one worker with calls of two sizes."""

from __future__ import annotations

import statistics
import time

from benchmarks.capacity.costs import Costs, Line
from benchmarks.capacity.driving import drive, prepare
from benchmarks.capacity.loads import CapacityLoad
from benchmarks.capacity.processor_time import spent_s
from risk_tasks.connection import connect
from risk_tasks.embedding import FleetPlan, running_fleet

_IDLE_S = 5.0


def calibrate(load: CapacityLoad, *, n_users: int, lasting_s: float) -> Costs:
    with running_fleet(FleetPlan(n_workers=1)) as fleet:
        prepare(fleet)
        few, many = (
            drive(fleet, load, n, n_users=n_users, lasting_s=lasting_s)
            for n in (load.n_few, load.n_checks)
        )
        idle_s = max(0.0, _idle_s(fleet.pids["server"]) - _alone_s())
        round_trip_s = _round_trip_s(fleet.url)
    client, server, worker = (
        Line.through((load.n_few, getattr(few, what)), (load.n_checks, getattr(many, what)))
        for what in ("client_s", "server_s", "worker_s")
    )
    return Costs(client, server, worker, idle_s, round_trip_s)


def _idle_s(server: int) -> float:
    """Return the processor time of an idle server, in seconds per second."""
    before_s, began_s = spent_s(server), time.perf_counter()
    time.sleep(_IDLE_S)
    return (spent_s(server) - before_s) / (time.perf_counter() - began_s)


def _alone_s() -> float:
    with running_fleet(FleetPlan(n_workers=0)) as fleet:
        return _idle_s(fleet.pids["server"])


def _round_trip_s(url: str) -> float:
    took_s = []
    with connect(url) as client:
        for _ in range(500):
            started_s = time.perf_counter()
            client.ping()
            took_s.append(time.perf_counter() - started_s)
    return statistics.median(took_s)
