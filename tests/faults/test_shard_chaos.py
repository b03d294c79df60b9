"""Workers join, leave and are killed under load: no check is lost, every shard is served."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from risk_tasks import RiskClient, sample
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.embedding.fleet import RoleProcess
from risk_tasks.queues import Lane
from risk_tasks.readers import read_market
from risk_tasks.store.shards import ShardStore
from tests.faults.oracle import Oracle
from tests.integration.support import books, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

N_SHARDS, N_EVENTS = 16, 20
MIN_WORKERS, MAX_WORKERS = 1, 4


class Workers:
    """Worker processes that a test starts and kills; each is a child of this process."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self.running: list[RoleProcess] = []
        self.gone: list[RoleProcess] = []
        self.left: list[RoleProcess] = []

    def do(self, event: str, ready: list[RoleProcess], dice: random.Random) -> None:
        if event == "join":
            self.join()
        elif event == "leave":
            self.leave(dice.choice(ready))
        else:
            self.kill(dice.choice(ready))

    def join(self) -> None:
        number = len(self.running) + len(self.gone)
        settings = {
            "RISK_TASKS_BROKER_URL": self._url,
            "RISK_TASKS_SHARDS": str(N_SHARDS),
            "RISK_TASKS_LOG_LEVEL": "info",
        }
        log = self._folder / f"chaos-{number}.log"
        worker = RoleProcess(f"chaos-{number}", ["-m", "risk_tasks", "worker"], settings, log)
        worker.start()
        self.running.append(worker)

    def leave(self, worker: RoleProcess) -> None:
        worker.terminate()
        self.left.append(worker)
        self._remove(worker)

    def kill(self, worker: RoleProcess) -> None:
        os.kill(worker.pid, signal.SIGKILL)
        self._remove(worker)

    def all(self) -> list[RoleProcess]:
        return [*self.running, *self.gone]

    def _remove(self, worker: RoleProcess) -> None:
        self.running.remove(worker)
        self.gone.append(worker)

    def living(self, name: str) -> bool:
        """Whether the worker with this name is a child that has not ended."""
        pid = int(name.split("-")[1])
        return any(one.pid == pid and one.is_alive for one in self.all())


class Watch:
    """The longest time that any shard was without a lease of a running worker."""

    def __init__(self, store: ShardStore, workers: Workers) -> None:
        self._store = store
        self._workers = workers
        now = time.monotonic()
        self._served_at = {
            (lane, shard): now for lane in (Lane.NORMAL, Lane.BATCH) for shard in range(N_SHARDS)
        }
        self.worst_s = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def all_leased(self) -> bool:
        return not self._look(time.monotonic())

    def _run(self) -> None:
        while not self._stopped.wait(0.05):
            now = time.monotonic()
            for shard in self._look(now):
                self.worst_s = max(self.worst_s, now - self._served_at[shard])

    def _look(self, now: float) -> list[tuple[Lane, int]]:
        """Return the shards without a lease."""
        left = []
        leases = {lane: self._store.leases(lane) for lane in (Lane.NORMAL, Lane.BATCH)}
        for lane, shard in self._served_at:
            name = leases[lane].get(shard)
            if name is not None and self._workers.living(name):
                self._served_at[lane, shard] = now
            else:
                left.append((lane, shard))
        return left


@contextmanager
def under_load(risk: RiskClient, portfolios, oracle: Oracle) -> Iterator[None]:
    """Send chunks to both lanes until stopped, and judge every answer at the end."""
    stopped, sent = threading.Event(), []

    def check() -> None:
        dice = random.Random(8)
        while not stopped.wait(0.1):
            chunk = dice.sample(portfolios, 15)
            lane = dice.choice(["normal", "normal", "batch"])
            sent.append((chunk, risk.submit(chunk, priority=lane, timeout_s=120)))

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    for chunk, handle in sent:
        oracle.judge(chunk, handle.result(timeout_s=120))


def test_twenty_joins_leaves_and_kills_under_load(tmp_path: Path) -> None:
    market, dice = read_market(sample.PRICES), random.Random(5)
    portfolios = books(200, market.instruments)
    oracle = Oracle(market)
    oracle.learn(portfolios)
    events = ["join"] * (N_EVENTS // 2) + ["kill"] * (N_EVENTS // 4) + ["leave"] * (N_EVENTS // 4)
    plan = FleetPlan(n_workers=0, scheduler=True)
    with running_fleet(plan) as fleet, RiskClient(fleet.url, timeout_s=120) as risk:
        workers = Workers(fleet.url, tmp_path)
        try:
            risk.publish_market(market)
            store = ShardStore(fleet._client)
            for _ in range(3):
                workers.join()
            watch = Watch(store, workers)
            wait_until(watch.all_leased, 90, "leases of all shards")
            with watch, under_load(risk, portfolios, oracle):
                done = []
                while len(done) < N_EVENTS:
                    leased = set(store.leases(Lane.NORMAL).values())
                    ready = [one for one in workers.running if _serves(one, leased)]
                    remaining = [
                        event
                        for event in ("join", "kill", "leave")
                        if done.count(event) < events.count(event)
                    ]
                    possible = [one for one in remaining if _is_possible(one, ready, workers)]
                    if possible:
                        done.append(dice.choice(possible))
                        workers.do(done[-1], ready, dice)
                    time.sleep(0.2)
                wait_until(watch.all_leased, 30, "leases of all shards")
        finally:
            # Workers that are stopping get no second signal: their handlers may be gone.
            for worker in workers.running:
                worker.terminate()
            codes = {worker.name: worker.wait() for worker in workers.all()}
        n_dead = fleet._client.zcard("risk:dead")

    assert oracle.lost == []
    assert oracle.wrong == []
    assert n_dead == 0
    assert oracle.accepted >= 15 * N_EVENTS
    assert watch.worst_s <= 5.0
    assert list(codes.values()).count(-signal.SIGKILL) == N_EVENTS // 4
    assert [codes[worker.name] for worker in workers.left] == [0] * (N_EVENTS // 4)


def _serves(worker: RoleProcess, leased: set[str]) -> bool:
    return any(int(name.split("-")[1]) == worker.pid for name in leased)


def _is_possible(event: str, ready: list[RoleProcess], workers: Workers) -> bool:
    """Whether one serving worker remains afterwards, and not more run than the machine allows."""
    return len(workers.running) < MAX_WORKERS if event == "join" else len(ready) > MIN_WORKERS
