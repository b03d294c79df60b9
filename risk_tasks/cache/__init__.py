"""Bytes by key in two tiers, and single flight: each missing key is computed once in the fleet.

Keys are content hashes, so an entry is never stale and its time to live only bounds the space.
This package does not depend on anything about risk.
"""

from risk_tasks.cache.counters import CacheCounters, CacheCounts
from risk_tasks.cache.server import CacheServer, CircuitBreaker
from risk_tasks.cache.single_flight import Leases, SingleFlight
from risk_tasks.cache.tiers import CachedValue, LocalTier, SharedTier, TwoTiers

__all__ = [
    "CacheCounters",
    "CacheCounts",
    "CacheServer",
    "CachedValue",
    "CircuitBreaker",
    "Leases",
    "LocalTier",
    "SharedTier",
    "SingleFlight",
    "TwoTiers",
]
