"""A clock that tests move, leases in a dictionary, and a server that is down."""

from __future__ import annotations

from dataclasses import dataclass, field

import redis

from risk_tasks.cache import (
    CacheCounters,
    CachedValue,
    CacheServer,
    CircuitBreaker,
    LocalTier,
    SharedTier,
    SingleFlight,
    TwoTiers,
)
from risk_tasks.cache.single_flight import Claim, Flight

AMPLE_BYTES = 1 << 20


def values(entries, ttl_s: float, cost_s: float = 0.0) -> dict[bytes, CachedValue]:
    """Values by key that live for `ttl_s` seconds."""
    return {key: CachedValue(value, ttl_s, cost_s) for key, value in entries.items()}


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Broken:
    """A client whose every call fails, and is counted."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.n_calls = 0

    def __getattr__(self, name):
        self.n_calls += 1
        raise self.error


def down(counters: CacheCounters, clock: Clock) -> CacheServer:
    """A server that refuses connections."""
    return CacheServer(Broken(redis.ConnectionError()), counters, CircuitBreaker(clock=clock))


@dataclass
class Fleet:
    """What processes share, without a server: values and leases."""

    clock: Clock
    values: dict[bytes, bytes] = field(default_factory=dict)
    leases: dict[bytes, tuple[bytes, float]] = field(default_factory=dict)
    is_down: bool = False
    n_claims: int = 0

    def claim(self, keys, token, lease_s):
        self.n_claims += 1
        if self.is_down:
            return None
        return [self._claim(key, token, lease_s) for key in keys]

    def _claim(self, key, token, lease_s):
        if key in self.values:
            return Claim.PRESENT
        holder, until_s = self.leases.get(key, (token, 0.0))
        if holder != token and self.clock() < until_s:
            return Claim.HELD
        self.leases[key] = (token, self.clock() + lease_s)
        return Claim.OURS

    def release(self, keys, token):
        for key in keys:
            if self.leases.get(key, (b"", 0.0))[0] == token:
                del self.leases[key]


class FleetTier(SharedTier):
    """A shared tier over the dictionary of a `Fleet`."""

    def __init__(self, fleet: Fleet, counters: CacheCounters) -> None:
        super().__init__(down(counters, fleet.clock), b"", counters)
        self._fleet = fleet

    def get_many(self, keys):
        held = {} if self._fleet.is_down else self._fleet.values
        return [CachedValue(held[key], 60.0, 0.5) if key in held else None for key in keys]

    def set_many(self, values):
        if not self._fleet.is_down:
            self._fleet.values.update({key: one.value for key, one in values.items()})


@dataclass
class Process:
    """A process of a fleet: tiers, single flight, counters, and the pauses that it made."""

    fleet: Fleet
    local_bytes: int = AMPLE_BYTES
    counters: CacheCounters = field(default_factory=CacheCounters)
    pauses_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        local = LocalTier(self.local_bytes, self.counters, clock=self.fleet.clock)
        self.tiers = TwoTiers(local, FleetTier(self.fleet, self.counters), self.counters)
        self.flights = SingleFlight(
            self.tiers, self.fleet, clock=self.fleet.clock, pause=self._pause
        )

    def _pause(self, pause_s: float) -> None:
        self.pauses_s.append(pause_s)
        self.fleet.clock.now_s += pause_s

    def start(self, *keys: bytes, lease_s: float = 2.0) -> Flight:
        """A flight that has taken what is free."""
        flight = Flight(self.flights, keys, lease_s)
        flight.take()
        return flight
