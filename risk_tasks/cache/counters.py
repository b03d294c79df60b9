"""What the cache of a process did, as sums since its start."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """Sums since the process started; those of several processes add up by field."""

    #: every look-up goes to the local tier first: its hits and misses are all look-ups
    local_hits: float = 0
    local_misses: float = 0
    shared_hits: float = 0
    shared_misses: float = 0
    #: bytes of values that were found in the shared tier, and written to it
    read_bytes: float = 0
    written_bytes: float = 0
    #: entries that the local tier evicted before they expired
    local_evictions: float = 0
    #: entries of the shared tier that were damaged or foreign, and were deleted
    corrupt: float = 0
    #: calls of the server that failed
    errors: float = 0
    #: calls that were not made because the circuit breaker was open
    refused: float = 0
    #: how often the circuit breaker opened
    breaker_openings: float = 0
    #: keys that were waited for because another caller computed them, and those that arrived
    waits: float = 0
    arrivals: float = 0
    #: keys that were computed here after another caller released them or its lease expired
    take_overs: float = 0
    #: keys that had not arrived at the deadline
    late: float = 0
    #: seconds of computing that hits and arrivals saved
    saved_s: float = 0.0

    @property
    def look_ups(self) -> float:
        """Return the number of keys that were looked up."""
        return self.local_hits + self.local_misses

    @property
    def hits(self) -> float:
        """Return the number of keys that either tier had."""
        return self.local_hits + self.shared_hits

    def since(self, earlier: CacheCounts) -> CacheCounts:
        """Return what was added after `earlier`."""
        before = asdict(earlier)
        return CacheCounts(**{name: sum_ - before[name] for name, sum_ in asdict(self).items()})


class CacheCounters:
    """Thread-safe sums, by the field names of `CacheCounts`."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, **counts: float) -> None:
        with self._lock:
            for name, count in counts.items():
                self._sums[name] += count  # type: ignore[assignment]

    def snapshot(self) -> CacheCounts:
        with self._lock:
            return CacheCounts(**self._sums)
