"""Caches over a real server, one for each process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from risk_tasks.cache import (
    CacheCounters,
    CacheServer,
    CircuitBreaker,
    Leases,
    LocalTier,
    SharedTier,
    SingleFlight,
    TwoTiers,
)
from risk_tasks.connection import connect
from risk_tasks.server_clock import ServerClock

AMPLE_BYTES = 1 << 26


@dataclass
class Cache:
    """The cache of one process; `prefix` separates tests on one server."""

    url: str
    prefix: bytes
    clock: Callable[[], float] = time.monotonic
    #: long, for a busy machine; tests of the short timeouts use `open_cache`
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
        self.breaker = CircuitBreaker()
        server = CacheServer(client, self.counters, self.breaker)
        # It is read once, so that it stands still while the clock of the test does.
        server_clock = ServerClock(clock=self.clock, refresh_s=float("inf"))
        self.shared = SharedTier(server, self.prefix + b"value:", self.counters, clock=server_clock)
        self.local = LocalTier(AMPLE_BYTES, self.counters, clock=self.clock)
        self.tiers = TwoTiers(self.local, self.shared, self.counters)
        self.leases = Leases(server, self.shared, self.prefix + b"lease:")
        self.flights = SingleFlight(self.tiers, self.leases)

    def counts(self):
        return self.counters.snapshot()
