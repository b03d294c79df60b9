"""The result cache of a worker, put together."""

from __future__ import annotations

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
from risk_tasks.cache.server import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S
from risk_tasks.connection import connect
from risk_tasks.lanes import CACHE_PREFIX, LEASE_PREFIX
from risk_tasks.settings import Settings


@dataclass(frozen=True, slots=True)
class ResultCache:
    """Both tiers, who computes what, and what all of it did; for all threads of a process."""

    tiers: TwoTiers
    flight: SingleFlight
    counters: CacheCounters
    breaker: Breaker
    #: seconds that results are kept
    ttl_s: float


def open_cache(settings: Settings) -> ResultCache:
    """Return the cache that `settings` describe; nothing is sent yet.

    Raises `TransportError` for a URL that is none.
    """
    client = connect(
        settings.cache_url_or_broker.get_secret_value(),
        socket_timeout_s=ANSWER_TIMEOUT_S,
        connect_timeout_s=CONNECT_TIMEOUT_S,
        n_retries=0,
    )
    counters, breaker = CacheCounters(), Breaker()
    server = CacheServer(client, counters, breaker)
    shared = SharedTier(server, CACHE_PREFIX, counters)
    tiers = TwoTiers(LocalTier(settings.cache_local_bytes, counters), shared, counters)
    flight = SingleFlight(tiers, Leases(server, shared, LEASE_PREFIX), counters)
    return ResultCache(tiers, flight, counters, breaker, settings.cache_ttl_s)
