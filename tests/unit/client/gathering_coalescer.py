"""A coalescer of threads whose messages are gathered by a test, not by the clock."""

from __future__ import annotations

import threading

from risk_tasks.client.coalescing import CoalescingPolicy, ThreadCoalescer


class GatheringCoalescer(ThreadCoalescer):
    """Counts the requests that gather; its clock stands still, so that none is due."""

    def __init__(self, connection, max_checks=50_000):
        super().__init__(connection, CoalescingPolicy(max_checks, 0.05), clock=lambda: 0.0)
        self.n_gathered = threading.Semaphore(0)

    def _gather(self, *args):
        try:
            return super()._gather(*args)
        finally:
            self.n_gathered.release()

    def hold(self):
        """Let later requests gather, until `release`."""
        self._begin()

    def release(self, n_requests):
        """Wait until `n_requests` gather, then let them go."""
        try:
            for _ in range(n_requests):
                assert self.n_gathered.acquire(timeout=20)
        finally:
            self._end()
