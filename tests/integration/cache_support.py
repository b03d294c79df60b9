"""Caches over a real server, as processes have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from risk_tasks.cache import (
    Breaker,
    CacheCounters,
    CacheServer,
    Leases,
    LocalTier,
    SharedTier,
    SingleFlight,
    TwoTiers,
)
from risk_tasks.cache.server import ServerClock
from risk_tasks.connection import connect

AMPLE_BYTES = 1 << 26


@dataclass
class Cache:
    """What one process has; `prefix` keeps tests on one server apart."""

    url: str
    prefix: bytes
    clock: Callable[[], float] = time.monotonic
    #: what a busy machine may take; what takes longer is asked by tests of its own
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        client = connect(
            self.url,
            socket_timeout_s=self.timeout_s,
            connect_timeout_s=self.timeout_s,
            n_retries=0,
            max_connections=1_024,
        )
        self.counters = CacheCounters()
        self.breaker = Breaker()
        server = CacheServer(client, self.counters, self.breaker)
        # Its clock is learnt once: where the test's clock stands, the server's should.
        server_clock = ServerClock(clock=self.clock, refresh_s=float("inf"))
        self.shared = SharedTier(server, self.prefix + b"value:", self.counters, clock=server_clock)
        self.local = LocalTier(AMPLE_BYTES, self.counters, clock=self.clock)
        self.tiers = TwoTiers(self.local, self.shared, self.counters)
        self.leases = Leases(server, self.shared, self.prefix + b"lease:")
        self.flight = SingleFlight(self.tiers, self.leases, self.counters)

    def counts(self):
        return self.counters.snapshot()
