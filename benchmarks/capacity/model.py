"""The system as a simulation: users, one server, a lane, workers, and the cores that they share.

A block passes its user's process, the server five times (enqueue, fetch, start, finish, reply) and
one worker; each needs a core while it works. A worker has one block at a time.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

import simpy

from benchmarks.capacity.costs import Costs

#: of a call's time in the client, before the block is sent; of a block's in the worker, before its
#: answer is sent
_BEFORE_SENDING, _BEFORE_FINISH = 0.6, 0.8
_N_VISITS = 5
_WARM_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Setting:
    """The simulated system. `n_cores` is shared by all; None gives each process its own core."""

    n_workers: int
    n_users: int
    n_checks: int
    n_cores: int | None = None


@dataclass(frozen=True, slots=True)
class Predicted:
    calls_per_s: float
    p50_s: float
    #: shares of the time: 1 is saturated
    server_busy: float
    workers_busy: float


@dataclass(slots=True)
class _Tally:
    took_s: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    server_s: float = 0.0
    worker_s: float = 0.0


class _System:
    def __init__(self, costs: Costs, setting: Setting) -> None:
        self.costs, self.setting = costs, setting
        self.env = simpy.Environment()
        self.cores = simpy.Resource(self.env, setting.n_cores or 10**9)
        self.server = simpy.Resource(self.env, 1)
        self.lane = simpy.Store(self.env)
        self.tally = _Tally()

    def work(self, seconds: float) -> Iterator[simpy.Event]:
        with self.cores.request() as core:
            yield core
            yield self.env.timeout(seconds)

    def visit(self) -> Iterator[simpy.Event]:
        """Call the server once: its share of a block, and the latency of the trip."""
        n_idle = self.setting.n_workers
        # The polls of waiting workers slow every call by their share of the server's time.
        slowed = 1.0 / max(1e-9, 1.0 - min(0.999, n_idle * self.costs.idle_s))
        seconds = self.costs.server.of(self.setting.n_checks) / _N_VISITS * slowed
        yield self.env.timeout(self.costs.round_trip_s)
        with self.server.request() as turn:
            yield turn
            yield from self.work(seconds)
        self.tally.server_s += seconds

    def user(self) -> Iterator[simpy.Event]:
        seconds = self.costs.client.of(self.setting.n_checks)
        while True:
            began_s = self.env.now
            yield from self.work(seconds * _BEFORE_SENDING)
            yield from self.visit()
            answered = self.env.event()
            self.lane.put(answered)
            yield answered
            yield from self.visit()
            yield from self.work(seconds * (1 - _BEFORE_SENDING))
            self.tally.took_s.append(self.env.now - began_s)
            self.tally.ended_s.append(self.env.now)

    def worker(self) -> Iterator[simpy.Event]:
        seconds = self.costs.worker.of(self.setting.n_checks)
        while True:
            answered = yield self.lane.get()
            began_s = self.env.now
            yield from self.visit()
            yield from self.visit()
            yield from self.work(seconds * _BEFORE_FINISH)
            yield from self.visit()
            answered.succeed()  # type: ignore[attr-defined]
            yield from self.work(seconds * (1 - _BEFORE_FINISH))
            self.tally.worker_s += self.env.now - began_s


def simulate(costs: Costs, setting: Setting, *, lasting_s: float = 5.0) -> Predicted:
    """Run the simulation for `lasting_s` of simulated time; its first fifth is not counted."""
    system = _System(costs, setting)
    for _ in range(setting.n_users):
        system.env.process(system.user())
    for _ in range(setting.n_workers):
        system.env.process(system.worker())
    system.env.run(until=lasting_s)
    from_s = lasting_s * _WARM_SHARE
    counted = [
        took_s
        for took_s, ended_s in zip(system.tally.took_s, system.tally.ended_s, strict=True)
        if ended_s >= from_s
    ]
    return Predicted(
        calls_per_s=len(counted) / (lasting_s - from_s),
        p50_s=statistics.median(counted) if counted else float("inf"),
        server_busy=system.tally.server_s / lasting_s,
        workers_busy=system.tally.worker_s / lasting_s / setting.n_workers,
    )
