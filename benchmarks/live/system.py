"""A system of our own with live portfolios, and a wait until it has computed all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import redis

from benchmarks import inputs
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from risk_tasks.keys import lane_key
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.live import LimitChange
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import LANE_CAPACITY, Lane
from risk_tasks.store.breaches import BEGINNING, BreachStream
from risk_tasks.store.recompute import LiveCounts, RecomputeStore

WARN_AT, HARD_AT = 1.0, 1e5
LIMITS = LimitSet("live", [Limit("net_exposure", warn=WARN_AT, hard=HARD_AT, id="net")])
MARKET = inputs.market(250)
#: a portfolio that is not computed within this time counts as lost
_SETTLED_WITHIN_S = 180.0
_POLL_S = 0.05


@dataclass(frozen=True)
class LiveSystem:
    """A fleet, a client, and the counters of the server."""

    fleet: Fleet
    risk: RiskClient
    store: RecomputeStore
    stream: BreachStream
    server: redis.Redis

    def used_bytes(self) -> int:
        """Return the bytes of memory that the server uses."""
        return int(self.server.info("memory")["used_memory"])

    def settle(self) -> LiveCounts:
        """Wait until every portfolio is computed; raises `RuntimeError` if that takes too long."""
        give_up_at = time.monotonic() + _SETTLED_WITHIN_S
        while time.monotonic() < give_up_at:
            counts = self.store.counts()
            if not counts.dirty and not counts.in_progress and not counts.outdated:
                return counts
            time.sleep(_POLL_S)
        raise RuntimeError(f"Not computed within {_SETTLED_WITHIN_S:g} s: {counts}.")


@contextmanager
def live_system(n_portfolios: int) -> Iterator[LiveSystem]:
    """Run two workers and a scheduler with `n_portfolios` live portfolios without positions."""
    plan = FleetPlan(n_workers=2, scheduler=True)
    with running_fleet(plan) as fleet, RiskClient(fleet.url, timeout_s=30) as risk:
        risk.publish_market(MARKET)
        risk.publish_limits(LIMITS)
        with connect(fleet.url) as client:
            system = LiveSystem(fleet, risk, RecomputeStore(client), BreachStream(client), client)
            for number in range(n_portfolios):
                risk.set_portfolio(Portfolio(name_of(number), {}, nav=1e7))
            system.settle()
            yield system


def name_of(number: int) -> str:
    return f"live-{number}"


class Listener:
    """Reads changes of state in a thread, each with the time when it was read."""

    def __init__(self, system: LiveSystem, on_change: Callable[[float, LimitChange], None]) -> None:
        self._risk = RiskClient(system.fleet.url)
        self._stream = system.stream
        self._changes = self._risk.breaches()
        self._on_change = on_change
        self._last_id = BEGINNING
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def finish(self) -> None:
        """Wait until the newest change is read; raises the error that stopped the reader."""
        last = _order_of(self._stream.last())
        give_up_at = time.monotonic() + _SETTLED_WITHIN_S
        while _order_of(self._last_id) < last and self._thread.is_alive():
            if time.monotonic() > give_up_at:
                break
            time.sleep(_POLL_S)
        self.close()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self._risk.close()
        self._thread.join()

    def _listen(self) -> None:
        try:
            for change in self._changes:
                self._on_change(time.perf_counter(), change)
                self._last_id = change.id
        except Exception as error:
            self._failure = error


def _order_of(change_id: str) -> tuple[int, int]:
    ms, _, number = change_id.partition("-")
    return int(ms), int(number or 0)


class LaneWatch:
    """Samples the lanes; returns the highest share of its capacity that one held."""

    def __init__(self, url: str) -> None:
        self.fullest = 0.0
        self._over = threading.Event()
        self._client = connect(url)
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _watch(self) -> None:
        while not self._over.wait(_POLL_S):
            for lane in Lane:
                held = self._client.hmget(lane_key(lane), "checks", "bytes")
                checks, size = (int(number or 0) for number in held)
                capacity = LANE_CAPACITY[lane]
                self.fullest = max(
                    self.fullest, checks / capacity.checks, size / capacity.size_bytes
                )
