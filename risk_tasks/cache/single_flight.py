"""One computation for all who ask, in this process and in the fleet.

Taking a key never waits: who asks for a block computes what is free first, and waits for the rest
with nothing left to compute, so that two blocks that overlap cannot wait for each other. Of a
process only one caller at a time asks the server about a key; the others wait beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from risk_tasks.cache.counters import CacheCounters
from risk_tasks.cache.leases import Leases
from risk_tasks.cache.seats import Seats
from risk_tasks.cache.turn import Turn
from risk_tasks.cache.two_tiers import TwoTiers


class SingleFlight:
    """Hands out turns; one for all threads of a process."""

    def __init__(
        self,
        tiers: TwoTiers,
        leases: Leases,
        counters: CacheCounters,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tiers = tiers
        self._leases = leases
        self._counters = counters
        self._clock = clock
        self._pause = pause
        self._seats = Seats()

    def lead(self, keys: Iterable[bytes], *, lease_s: float) -> Turn:
        """Take of `keys` what nobody computes; never waits.

        `lease_s` is after how many seconds others take a key for given up: well above what
        computing all of them takes.
        """
        turn = Turn(
            self._tiers,
            self._leases,
            self._seats,
            self._counters,
            lease_s=lease_s,
            clock=self._clock,
            pause=self._pause,
        )
        try:
            turn.take(dict.fromkeys(keys))
        except BaseException:
            turn.close()  # a seat that nobody leaves would be waited for until every deadline
            raise
        return turn
