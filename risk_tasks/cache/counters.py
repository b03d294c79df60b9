"""What the cache did, added up a block at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, Protocol

TierName = Literal["local", "shared"]
_TALLIED = {
    "local": ("local_hits", "local_misses"),
    "shared": ("shared_hits", "shared_misses"),
}


class Costed(Protocol):
    """What was found, and what computing it cost."""

    @property
    def cost_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """Sums since the process started; sums of processes add up by field."""

    #: what two tiers are asked for, they ask of the local one first: hits and misses are all keys
    local_hits: float = 0
    local_misses: float = 0
    shared_hits: float = 0
    shared_misses: float = 0
    #: bytes of values that were found in the shared tier, and written to it
    read_bytes: float = 0
    written_bytes: float = 0
    #: entries that the local tier gave up for others, before they expired
    local_evictions: float = 0
    #: entries of the shared tier that were damaged or not ours, and were deleted
    corrupt: float = 0
    #: calls of the server that failed
    errors: float = 0
    #: calls that were not made, since the breaker was open
    refused: float = 0
    #: how often the breaker opened
    breaker_openings: float = 0
    #: keys waited for because another computed them, and those of them that came
    waits: float = 0
    arrivals: float = 0
    #: keys computed in place of one who let go of them
    take_overs: float = 0
    #: keys that had not come at the deadline
    late: float = 0
    #: seconds of computing that hits and arrivals saved
    saved_s: float = 0.0

    @property
    def cache_hit_ratio(self) -> float | None:
        """Hits over keys asked for, between 0 and 1; None where none was asked for.

        Only what may be cached is ever asked for.
        """
        requests = self.local_hits + self.local_misses
        return (self.local_hits + self.shared_hits) / requests if requests else None

    def as_dict(self) -> dict[str, float | None]:
        """Return all sums by name, and `cache_hit_ratio`."""
        return {**asdict(self), "cache_hit_ratio": self.cache_hit_ratio}

    def since(self, earlier: CacheCounts) -> CacheCounts:
        """Return what was added after `earlier`."""
        return CacheCounts(
            **{name: getattr(self, name) - getattr(earlier, name) for name in COUNT_NAMES}
        )


COUNT_NAMES = tuple(field.name for field in fields(CacheCounts))


class CacheCounters:
    """Adds up from many threads."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(COUNT_NAMES, 0.0)
        self._lock = threading.Lock()

    def add(self, **counts: float) -> None:
        """Add to the fields of `CacheCounts` by name."""
        with self._lock:
            for name, count in counts.items():
                self._sums[name] += count

    def tally(self, tier: TierName, found: Sequence[Costed | None]) -> None:
        """Count the hits and misses of a block, and the seconds that its hits save."""
        costs_s = [each.cost_s for each in found if each is not None]
        hits, misses = _TALLIED[tier]
        with self._lock:
            sums = self._sums
            sums[hits] += len(costs_s)
            sums[misses] += len(found) - len(costs_s)
            sums["saved_s"] += sum(costs_s)

    def snapshot(self) -> CacheCounts:
        with self._lock:
            return CacheCounts(**self._sums)
