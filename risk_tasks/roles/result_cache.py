"""The result cache of a worker, and its report to the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from risk_tasks.cache import (
    CacheCounters,
    CacheCounts,
    CacheServer,
    CircuitBreaker,
    Leases,
    LocalTier,
    SharedTier,
    SingleFlight,
    TwoTiers,
)
from risk_tasks.cache.server import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S
from risk_tasks.connection import connect
from risk_tasks.keys import CACHE_PREFIX, LEASE_PREFIX
from risk_tasks.settings import Settings
from risk_tasks.store.roles import CacheCountsStore
from risk_tasks.store.telemetry import LookUps

#: more than the threads of a worker: a thread without a connection would compute a result again
_MAX_CONNECTIONS = 512


@dataclass(frozen=True, slots=True)
class TieredCache:
    """The tiers, single flight and counters of a process; for all of its threads."""

    tiers: TwoTiers
    flights: SingleFlight
    counters: CacheCounters
    breaker: CircuitBreaker
    #: seconds for which results are kept
    ttl_s: float

    def look_ups(self) -> LookUps:
        """Return the look-ups of this process so far."""
        counts = self.counters.snapshot()
        return LookUps(counts.look_ups, counts.hits)


def open_cache(settings: Settings) -> TieredCache:
    """Return the cache of `settings`, without a call of the server.

    Raises `TransportError` for an invalid URL.
    """
    client = connect(
        (settings.cache_url or settings.broker_url).get_secret_value(),
        socket_timeout_s=ANSWER_TIMEOUT_S,
        connect_timeout_s=CONNECT_TIMEOUT_S,
        n_retries=0,
        max_connections=_MAX_CONNECTIONS,
    )
    counters, breaker = CacheCounters(), CircuitBreaker()
    server = CacheServer(client, counters, breaker)
    shared = SharedTier(server, CACHE_PREFIX, counters)
    tiers = TwoTiers(LocalTier(settings.cache_local_bytes, counters), shared, counters)
    flight = SingleFlight(tiers, Leases(server, shared, LEASE_PREFIX))
    return TieredCache(tiers, flight, counters, breaker, settings.cache_ttl_s)


class CacheReport:
    """Adds the counts of a role's cache since the last report to the sums of the fleet."""

    def __init__(
        self,
        cache: TieredCache,
        store: CacheCountsStore,
        name: str,
        by_measure: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._by_measure = by_measure
        self._cache = cache
        self._store = store
        self._name = name
        self._reported = CacheCounts()
        self._state: Mapping[str, str] = {}

    def flush(self) -> None:
        """Send the counts; after a `TransportError`, the next call sends them too."""
        counts = self._cache.counters.snapshot()
        state = {
            "breaker": "open" if self._cache.breaker.is_open else "closed",
            "local_bytes": str(self._cache.tiers.local.size_bytes),
        }
        fresh = asdict(counts.since(self._reported))
        # An idle fleet does not send reports.
        if any(fresh.values()) or state != self._state:
            self._store.add(self._name, fresh, state)
            self._reported, self._state = counts, state
        if by_measure := self._by_measure():
            self._store.add(self._name, by_measure, {})
