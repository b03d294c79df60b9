"""What a worker tells Prometheus: counters and histograms by lane."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from threading import Lock

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from risk_tasks.metrics import BlockRecord, Outcome
from risk_tasks.queues import Lane

#: upper bounds in seconds: fine where targets lie, up to a client's usual time-out and beyond
BOUNDS_S = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.06, 0.12, 0.2),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
_TIMES = {
    "check_latency": "From accepting a check until its answer stands on the server.",
    "check_queued": "From accepting a check until a worker started its block.",
    "check_compute": "Computing the block that a check was in.",
}


class _Histogram:
    """Cumulative buckets; a block is counted once for each of its checks."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float, n: int) -> None:
        self._counts[bisect_left(BOUNDS_S, seconds)] += n
        self._sum_s += seconds * n

    def sample(self) -> tuple[list[tuple[str, float]], float]:
        buckets, n = [], 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._counts, strict=True):
            n += count
            buckets.append((bound, float(n)))
        return buckets, self._sum_s


class _Lane:
    def __init__(self) -> None:
        self.checks = dict.fromkeys(("ok", "error", "failed"), 0)
        self.blocks = dict.fromkeys(Outcome, 0)
        self.times = {name: _Histogram() for name in _TIMES}

    def add(self, block: BlockRecord) -> None:
        self.blocks[block.outcome] += 1
        if block.outcome is Outcome.DUPLICATE:
            return
        if block.outcome is Outcome.FAILED:
            self.checks["failed"] += block.n_checks
        else:
            self.checks["error"] += block.n_errors
            self.checks["ok"] += block.n_checks - block.n_errors
        for name, seconds in (
            ("check_latency", block.total_s),
            ("check_queued", block.queued_s),
            ("check_compute", block.compute_s),
        ):
            if seconds is not None:
                self.times[name].add(seconds, block.n_checks)


class WorkerMetrics:
    """Counts records and shows them: every lane and every outcome from the start, at zero."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._busy_s = 0.0
        self._lanes = {lane.value: _Lane() for lane in Lane}
        self._lock = Lock()

    def count(self, records: Iterable[BlockRecord]) -> None:
        with self._lock:
            for block in records:
                self._busy_s += block.busy_s
                self._lanes.setdefault(block.lane, _Lane()).add(block)

    def collect(self) -> list[Metric]:
        with self._lock:
            return [*self._counters(), *self._histograms()]

    def _counters(self) -> Iterator[Metric]:
        checks = CounterMetricFamily(
            "risk_tasks_checks", "Checks that were ended.", labels=["lane", "outcome"]
        )
        blocks = CounterMetricFamily(
            "risk_tasks_blocks", "Messages that were ended.", labels=["lane", "outcome"]
        )
        for name, lane in self._lanes.items():
            for outcome, n in lane.checks.items():
                checks.add_metric([name, outcome], n)
            for ended, n in lane.blocks.items():
                blocks.add_metric([name, ended.value], n)
        yield from (checks, blocks)
        busy = "Time that threads spent on messages."
        yield CounterMetricFamily("risk_tasks_busy_seconds", busy, value=self._busy_s)
        yield GaugeMetricFamily("risk_tasks_threads", "Threads that compute.", value=self._threads)

    def _histograms(self) -> Iterator[Metric]:
        for name, meaning in _TIMES.items():
            family = HistogramMetricFamily(f"risk_tasks_{name}_seconds", meaning, labels=["lane"])
            for lane, counts in self._lanes.items():
                buckets, sum_s = counts.times[name].sample()
                family.add_metric([lane], buckets, sum_s)
            yield family
