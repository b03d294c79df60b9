"""A worker's histograms, in slots of some seconds that all workers share."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from risk_tasks.histograms import Durations
from risk_tasks.metrics import BlockRecord, Outcome
from risk_tasks.store.telemetry import LaneWork, LookUps, Slot, SlotStore, slot_number


class LaneCounts:
    """One lane in one slot."""

    def __init__(self) -> None:
        self.n_blocks = self.n_checks = self.n_errors = 0
        self.queued, self.compute, self.total = Durations(), Durations(), Durations()

    def add(self, block: BlockRecord) -> None:
        """Count `block`; a duplicate was counted where its answer came first."""
        if block.outcome is Outcome.DUPLICATE:
            return
        self.n_blocks += 1
        self.n_checks += block.n_checks
        self.n_errors += block.n_errors
        self.compute.add(block.compute_s, block.n_checks)
        if block.queued_s is not None:
            self.queued.add(block.queued_s, block.n_checks)
        if block.total_s is not None:
            self.total.add(block.total_s, block.n_checks)

    def work(self) -> LaneWork:
        return LaneWork(
            self.n_blocks,
            self.n_checks,
            self.n_errors,
            self.queued.document(),
            self.compute.document(),
            self.total.document(),
        )

    def merge(self, work: LaneWork) -> None:
        """Add what another worker, or another slot, has counted."""
        self.n_blocks += work.n_blocks
        self.n_checks += work.n_checks
        self.n_errors += work.n_errors
        self.queued.merge(work.queued)
        self.compute.merge(work.compute)
        self.total.merge(work.total)


class SlotWriter:
    """Counts records into the slot of now, and writes it to the server.

    `look_ups` returns those of the process so far.

    What is counted between two writes belongs to the slot of the first. Where a write fails, the
    counts stay and go with the next one. Where nothing was counted, two calls of `write` in a
    slot do so: the first, and the one as it ends.
    """

    def __init__(
        self,
        store: SlotStore,
        worker: str,
        *,
        threads: int,
        look_ups: Callable[[], LookUps] = LookUps,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._worker = worker
        self._threads = threads
        self._look_ups = look_ups
        self._clock = clock
        self._number: int | None = None
        self._covered_until_s = 0.0
        self._server_ahead_s = 0.0
        self._written: Slot | None = None
        self._begin()

    def count(self, records: Iterable[BlockRecord]) -> None:
        for block in records:
            self._lanes[block.lane].add(block)
            self._busy_s += block.busy_s
            self._has_news = True

    def write(self) -> None:
        """Write the slot if it is due, and begin the next one where the server's clock is there.

        Raises `TransportError`.
        """
        if self._number is None:
            self._number = slot_number(self._store.now_s())
            self._covered_until_s = self._clock()
        now_s = self._clock()
        if not self._is_due(self._number, now_s):
            return
        self._covered_s += now_s - self._covered_until_s
        self._covered_until_s = now_s
        slot = self._slot()
        server_s = self._store.write(
            self._number, self._worker, slot, is_first=self._written is None
        )
        self._server_ahead_s = server_s - now_s
        self._written, self._has_news = slot, False
        if slot_number(server_s) != self._number:
            self._number = slot_number(server_s)
            self._begin()

    def _is_due(self, number: int, now_s: float) -> bool:
        written = self._written
        # One that covers nothing would tell of a worker that it was never there.
        if written is None or written.covered_s == 0 or self._has_news:
            return True
        if self._looked_up() != written.look_ups:
            return True
        return slot_number(now_s + self._server_ahead_s) != number

    def _begin(self) -> None:
        self._covered_s = self._busy_s = 0.0
        self._looked_up_before = self._look_ups()
        self._lanes: defaultdict[str, LaneCounts] = defaultdict(LaneCounts)
        self._written = None
        self._has_news = False

    def _slot(self) -> Slot:
        lanes = {lane: counts.work() for lane, counts in self._lanes.items()}
        return Slot(self._threads, self._covered_s, self._busy_s, lanes, self._looked_up())

    def _looked_up(self) -> LookUps:
        before, now = self._looked_up_before, self._look_ups()
        return LookUps(now.n - before.n, now.hits - before.hits)
