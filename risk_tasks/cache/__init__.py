"""Bytes by key: a local tier, a shared tier, two tiers, and one computation for all who ask.

Knows nothing of risk: keys are content hashes, so that an entry is never stale and its time to live
is a bound on space alone.
"""

from risk_tasks.cache.breaker import Breaker, BreakerState
from risk_tasks.cache.counters import CacheCounters, CacheCounts
from risk_tasks.cache.leases import Leases
from risk_tasks.cache.local import LocalTier
from risk_tasks.cache.server import CacheServer
from risk_tasks.cache.shared import SharedTier
from risk_tasks.cache.single_flight import SingleFlight
from risk_tasks.cache.tier import Found, Tier
from risk_tasks.cache.turn import Turn, Waited
from risk_tasks.cache.two_tiers import TwoTiers

__all__ = [
    "Breaker",
    "BreakerState",
    "CacheCounters",
    "CacheCounts",
    "CacheServer",
    "Found",
    "Leases",
    "LocalTier",
    "SharedTier",
    "SingleFlight",
    "Tier",
    "Turn",
    "TwoTiers",
    "Waited",
]
