"""How many checks each limit of a published set applies to."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from risk_tasks.model.limits import LimitSet
from risk_tasks.store.telemetry import LimitWork

#: versions that one worker counts; a further one replaces the oldest
_MAX_VERSIONS = 64


class LimitMatches:
    """Counts for one process; safe to share between threads."""

    def __init__(self) -> None:
        self._by_version: dict[str, LimitWork] = {}
        self._lock = threading.Lock()

    def count(self, limit_set: LimitSet, n_checks: int, matched: Sequence[int]) -> None:
        """Add `n_checks`; `matched` has the number of checks of each limit, in their order."""
        ids = [limit.id for limit in limit_set.limits]
        work = LimitWork(n_checks, dict(zip(ids, matched, strict=True)))
        with self._lock:
            before = self._by_version.get(limit_set.version)
            if before is None and len(self._by_version) >= _MAX_VERSIONS:
                del self._by_version[next(iter(self._by_version))]
            self._by_version[limit_set.version] = before + work if before else work

    def so_far(self) -> dict[str, LimitWork]:
        """Return the counts of the process by version of the set."""
        with self._lock:
            return dict(self._by_version)
