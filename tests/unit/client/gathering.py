"""Sharing whose company is gathered by a test, not by the clock."""

from __future__ import annotations

import threading

from risk_tasks.client.coalescing import Company, Sharing


class Counted(Sharing):
    """Tells when a call has been taken in; without a clock, so that nobody is due."""

    def __init__(self, line, bound=50_000):
        super().__init__(line, Company(bound, 0.05), clock=lambda: 0.0)
        self.n_taken = threading.Semaphore(0)

    def joins(self, asked):
        """Count it."""
        try:
            return super().joins(asked)
        finally:
            self.n_taken.release()
