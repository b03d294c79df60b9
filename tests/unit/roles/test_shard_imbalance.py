"""A Zipf load over shards, with and without help for late shards, in a simulation."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

import numpy as np
import pytest

from risk_tasks.broker.consumer import LaneCycle
from risk_tasks.queues import HELP_AFTER_S, Lane
from risk_tasks.roles.shards import ServedShards
from risk_tasks.store.shards import LeasedShards, shards_of

NORMAL = Lane.NORMAL
N_SHARDS, N_BOOKS, CHECK_S, FOR_S, LOOK_S = 64, 2_000, 0.01, 12.0, 0.25


class Fleet:
    """Queues, leases and a clock; each worker looks and fetches as a real one does."""

    def __init__(self, n_workers: int, *, helping: bool) -> None:
        self.now_s = 0.0
        self.helping = helping
        self.lists = {f"risk.normal.{shard}": deque() for shard in range(N_SHARDS)}
        self.names = [f"w{number}" for number in range(n_workers)]
        self.workers = [ServedShards(self, name, [NORMAL], N_SHARDS) for name in self.names]
        self.cycles = [LaneCycle(["risk.normal", *self.lists]) for _ in self.workers]
        for cycle, worker in zip(self.cycles, self.workers):
            cycle.follow(worker.order)
        self.look()

    def renew(self, worker, n_shards, lanes):
        own = tuple(range(self.names.index(worker), n_shards, len(self.names)))
        waits = {shard: self.lists[f"risk.normal.{shard}"] for shard in range(N_SHARDS)}
        late = [s for s, queue in waits.items() if queue and self.now_s - queue[0] > HELP_AFTER_S]
        late.sort(key=lambda shard: waits[shard][0])
        return {NORMAL: LeasedShards(own, tuple(late * self.helping))}

    def look(self) -> None:
        for worker in self.workers:
            worker.look()

    def fetch(self, worker: int) -> bool:
        """Take one check for the worker with this index; returns whether there was one."""
        for queue in self.cycles[worker].consume(N_SHARDS + 1):
            if self.lists.get(queue):
                self.lists[queue].popleft()
                return True
        return False


def busy_s(n_workers: int, load: float, *, helping: bool) -> list[float]:
    """Return how long each worker computes; `load` is the share of the fleet's time needed."""
    dice, fleet = np.random.default_rng(3), Fleet(n_workers, helping=helping)
    weight = np.arange(1, N_BOOKS + 1) ** -1.1
    n_checks = int(FOR_S * n_workers * load / CHECK_S)
    chosen = dice.choice(N_BOOKS, n_checks, p=weight / weight.sum())
    shards = shards_of([f"book-{one}".encode() for one in chosen], N_SHARDS)
    events = [(at, 0, shard) for at, shard in zip(sorted(dice.uniform(0, FOR_S, n_checks)), shards)]
    events += [(at, 1, 0) for at in np.arange(0, FOR_S, LOOK_S)]
    events.sort()
    free_at, busy = [0.0] * n_workers, [0.0] * n_workers
    wake: list[tuple[float, int]] = []
    for at, is_look, shard in events:
        while wake and wake[0][0] <= at:
            fleet.now_s, worker = heappop(wake)
            _serve(fleet, worker, free_at, busy, wake)
        fleet.now_s = at
        if is_look:
            fleet.look()
        else:
            fleet.lists[f"risk.normal.{shard}"].append(at)
        for worker in range(n_workers):
            if free_at[worker] <= at:
                _serve(fleet, worker, free_at, busy, wake)
    return busy


def _serve(fleet: Fleet, worker: int, free_at, busy, wake) -> None:
    if free_at[worker] <= fleet.now_s and fleet.fetch(worker):
        free_at[worker] = fleet.now_s + CHECK_S
        busy[worker] += CHECK_S
        heappush(wake, (free_at[worker], worker))


def imbalance(busy: list[float]) -> float:
    return max(busy) / (sum(busy) / len(busy))


@pytest.mark.parametrize(("n_workers", "load"), [(2, 0.95), (4, 0.85), (4, 0.95), (8, 0.95)])
def test_with_help_no_worker_is_busier_than_1_25_times_the_mean(n_workers, load):
    """The most popular portfolio alone is more than an eighth of the load."""
    assert imbalance(busy_s(n_workers, load, helping=True)) <= 1.25


def test_without_help_one_worker_is_overloaded_while_others_are_idle():
    alone, helped = (busy_s(8, 0.95, helping=helping) for helping in (False, True))

    assert max(alone) > 0.99 * FOR_S
    assert sum(alone) < 0.93 * sum(helped)
