"""Recording of finished blocks: buffered by a worker, and written to the server in slots."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from risk_tasks.histograms import Durations
from risk_tasks.metrics import BlockOutcome, BlockRecord
from risk_tasks.store.telemetry import (
    LaneWork,
    LimitWork,
    LookUps,
    Slot,
    SlotStore,
    slot_number,
)

#: the bound of the buffer; older records are dropped, which takes 100,000 messages in a second
_MAX_RECORDS = 100_000


class Sink(Protocol):
    """Counts records; called by one thread."""

    def count(self, records: Iterable[BlockRecord]) -> None: ...


class BufferedRecorder:
    """Buffers records, and has the sinks count them when `flush` is called.

    Counting a time in a histogram takes microseconds; buffering a record takes less than one.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._records: deque[BlockRecord] = deque(maxlen=_MAX_RECORDS)

    def record(self, block: BlockRecord) -> None:
        self._records.append(block)

    def flush(self) -> None:
        """Have everything counted that is buffered now."""
        # Other threads keep recording: what they add is for the next flush.
        taken = [self._records.popleft() for _ in range(len(self._records))]
        for sink in self._sinks:
            sink.count(taken)


class LaneCounts:
    """One lane in one slot."""

    def __init__(self) -> None:
        self.n_blocks = self.n_checks = self.n_errors = 0
        self.queued, self.compute, self.total = Durations(), Durations(), Durations()

    def add(self, block: BlockRecord) -> None:
        """Count `block`; a duplicate was counted with its first answer."""
        if block.outcome is BlockOutcome.DUPLICATE:
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
        """Add the counts of another worker or another slot."""
        self.n_blocks += work.n_blocks
        self.n_checks += work.n_checks
        self.n_errors += work.n_errors
        self.queued.merge(work.queued)
        self.compute.merge(work.compute)
        self.total.merge(work.total)


class SlotWriter:
    """Counts records into the current slot, and writes it to the server.

    `look_ups` returns the look-ups of the process so far, and `matches` its checks against
    published limit sets. Counts between two writes belong to the
    slot of the earlier one. When a write fails, its counts are written with the next one. A slot
    without counts is written only by its first call of `write` and by the call at its end.
    """

    def __init__(
        self,
        store: SlotStore,
        worker: str,
        *,
        threads: int,
        look_ups: Callable[[], LookUps] = LookUps,
        matches: Callable[[], dict[str, LimitWork]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._worker = worker
        self._threads = threads
        self._look_ups = look_ups
        self._matches = matches
        self._matches_sent: dict[str, LimitWork] = {}
        self._clock = clock
        self._number: int | None = None
        self._covered_until_s = 0.0
        self._server_ahead_s = 0.0
        self._written: Slot | None = None
        self._start()

    def count(self, records: Iterable[BlockRecord]) -> None:
        for block in records:
            self._lanes[block.lane].add(block)
            self._busy_s += block.busy_s
            self._has_news = True

    def write(self) -> None:
        """Write the slot if it is due, and start the next one by the clock of the server.

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
        lanes = {lane: counts.work() for lane, counts in self._lanes.items()}
        matches = self._matches()
        slot = Slot(
            self._threads,
            self._covered_s,
            self._busy_s,
            lanes,
            self._looked_up(),
            _since(self._matches_before, matches),
        )
        server_s = self._store.write(
            self._number,
            self._worker,
            slot,
            _since(self._matches_sent, matches),
            is_first=self._written is None,
        )
        self._matches_sent = matches
        self._server_ahead_s = server_s - now_s
        self._written, self._has_news = slot, False
        if slot_number(server_s) != self._number:
            self._number = slot_number(server_s)
            self._start()

    def _is_due(self, number: int, now_s: float) -> bool:
        written = self._written
        # A slot that covers no time would show a worker that never ran.
        if written is None or written.covered_s == 0 or self._has_news:
            return True
        if self._looked_up() != written.look_ups:
            return True
        return slot_number(now_s + self._server_ahead_s) != number

    def _start(self) -> None:
        self._covered_s = self._busy_s = 0.0
        self._looked_up_before, self._matches_before = self._look_ups(), self._matches()
        self._lanes: defaultdict[str, LaneCounts] = defaultdict(LaneCounts)
        self._written = None
        self._has_news = False

    def _looked_up(self) -> LookUps:
        before, now = self._looked_up_before, self._look_ups()
        return LookUps(now.n - before.n, now.hits - before.hits)


def _since(before: dict[str, LimitWork], now: dict[str, LimitWork]) -> dict[str, LimitWork]:
    """Return the checks since `before` by version, without versions that had no check."""
    news = {version: work - before.get(version, LimitWork()) for version, work in now.items()}
    return {version: work for version, work in news.items() if work.n_checks > 0}
