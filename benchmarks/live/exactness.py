"""What is left of many changes, some of them sent twice, while workers are killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.live.plan import Plan
from benchmarks.live.system import (
    HARD_AT,
    MARKET,
    WARN_AT,
    LaneWatch,
    Listener,
    LiveSystem,
    name_of,
)
from benchmarks.live.told import mistakes
from benchmarks.load.driving import Schedule
from benchmarks.load.kills import reviving
from risk_tasks.embedding import Fleet
from risk_tasks.model.live import LimitState

_N_INSTRUMENTS = 20
_PRICES = dict(zip(MARKET.instruments, MARKET.prices.tolist(), strict=True))


@dataclass(slots=True)
class Book:
    """What one portfolio is to hold, by adding floats up."""

    positions: dict[str, float] = field(default_factory=dict)
    version: int = 1

    def change(self, deltas: dict[str, float]) -> None:
        for instrument, delta in deltas.items():
            total = self.positions.get(instrument, 0.0) + delta
            if total:
                self.positions[instrument] = total
            else:
                self.positions.pop(instrument, None)
        self.version += 1

    @property
    def state(self) -> LimitState:
        net = sum(quantity * _PRICES[name] for name, quantity in self.positions.items())
        if net > HARD_AT:
            return LimitState.HARD
        return LimitState.WARN if net > WARN_AT else LimitState.OK


@dataclass(frozen=True, slots=True)
class Exactness:
    """How much was done, and what was wrong of it."""

    n_changes: int
    n_twice: int
    n_killed: int
    n_told: int
    took_s: float
    #: portfolios whose positions or versions are not those of adding up
    wrong_portfolios: int
    mistakes: list[str]
    #: share of its capacity that the fullest lane held at most
    fullest_lane: float


def measure(system: LiveSystem, plan: Plan) -> Exactness:
    """Change portfolios, each by one user, and kill a worker at even shares of the changes."""
    books = {name_of(place): Book() for place in range(plan.n_portfolios)}
    counted = [0] * plan.n_users
    twice = [0] * plan.n_users
    over = threading.Event()
    listener = Listener(system)
    schedule = Schedule.soon(1 / plan.n_changes_per_s)

    def user(number: int) -> None:
        dice = random.Random(number)
        for change in range(number, plan.n_changes, plan.n_users):
            place = (change * 7) % plan.n_portfolios
            name = name_of(place - place % plan.n_users + number)
            deltas = _deltas(dice)
            schedule.await_due(change)
            version = _sent(system, name, deltas, f"e{change}")
            if dice.random() < plan.share_twice:
                twice[number] += 1
                if _sent(system, name, deltas, f"e{change}") != version:
                    raise AssertionError(f"Event e{change} of {name} made two versions.")
            books[name].change(deltas)
            counted[number] += 1

    started = time.perf_counter()
    with LaneWatch(system.fleet.url) as lanes, reviving(system.fleet):
        killer = ThreadPoolExecutor(1)
        killing = killer.submit(_kill, system.fleet, plan, counted, over)
        try:
            with ThreadPoolExecutor(plan.n_users) as users:
                list(users.map(user, range(plan.n_users)))
        finally:
            over.set()
            n_killed = killing.result()
            killer.shutdown()
        system.settle()
        took_s = time.perf_counter() - started
    told = [change for _, change in listener.finish()]
    states = {(name, "net"): book.state for name, book in books.items()}
    return Exactness(
        sum(counted),
        sum(twice),
        n_killed,
        len(told),
        took_s,
        sum(not _is_held(system, name, book) for name, book in books.items()),
        mistakes(told, states),
        lanes.fullest,
    )


def _sent(system: LiveSystem, name: str, deltas: dict[str, float], event_id: str) -> int:
    return system.risk.change_positions(name, deltas, event_id=event_id)


def _deltas(dice: random.Random) -> dict[str, float]:
    """Return sums that no order but their own would give."""
    names = dice.sample(MARKET.instruments[:_N_INSTRUMENTS], dice.randint(1, 3))
    return {name: dice.gauss(0.0, 10.0 ** dice.randint(-3, 3)) for name in names}


def _is_held(system: LiveSystem, name: str, book: Book) -> bool:
    held = system.risk.get_portfolio(name)
    return held.version == book.version and dict(held.positions) == book.positions


def _kill(fleet: Fleet, plan: Plan, counted: list[int], over: threading.Event) -> int:
    """Kill a worker each time when so many changes more were sent; return how many were."""
    workers = [one for one in fleet.processes if one.name.startswith("worker-")]
    n_killed = 0
    while n_killed < plan.n_kills and not over.wait(0.02):
        due = (n_killed + 1) * plan.n_changes // (plan.n_kills + 1)
        worker = workers[n_killed % len(workers)]
        if sum(counted) >= due and worker.is_alive:
            os.kill(worker.pid, signal.SIGKILL)
            n_killed += 1
    return n_killed
