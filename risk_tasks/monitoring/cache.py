"""What a worker tells Prometheus of its result cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from risk_tasks.cache import CacheCounts

_COUNTERS = {
    "read_bytes": ("cache_read_bytes", "Bytes of values found in the shared tier."),
    "written_bytes": ("cache_written_bytes", "Bytes of values written to the shared tier."),
    "local_evictions": ("cache_evictions", "Entries that the local tier gave up for others."),
    "corrupt": ("cache_corrupt_entries", "Entries that were damaged or foreign, and deleted."),
    "errors": ("cache_errors", "Calls of the shared tier that failed."),
    "refused": ("cache_refused_calls", "Calls that were not made while the breaker was open."),
    "waits": ("cache_waits", "Results waited for because another worker computed them."),
    "arrivals": ("cache_arrivals", "Those of them that came."),
    "late": ("cache_late", "Those that had not come at the deadline."),
    "take_overs": ("cache_take_overs", "Results computed in place of one who let go of them."),
    "saved_s": ("cache_saved_seconds", "Computing that hits and arrivals saved."),
}


class CacheMetrics:
    """Reads the counters of one process at each scrape."""

    def __init__(
        self,
        counts: Callable[[], CacheCounts],
        local_bytes: Callable[[], int],
        breaker_is_open: Callable[[], bool],
    ) -> None:
        self._counts = counts
        self._local_bytes = local_bytes
        self._breaker_is_open = breaker_is_open

    def collect(self) -> Iterator[Metric]:
        counts = self._counts()
        look_ups = CounterMetricFamily(
            "risk_tasks_cache_look_ups", "Results looked up in a tier.", labels=["tier", "outcome"]
        )
        for tier, hits, misses in (
            ("local", counts.local_hits, counts.local_misses),
            ("shared", counts.shared_hits, counts.shared_misses),
        ):
            look_ups.add_metric([tier, "hit"], hits)
            look_ups.add_metric([tier, "miss"], misses)
        yield look_ups
        for field, (name, meaning) in _COUNTERS.items():
            yield CounterMetricFamily(f"risk_tasks_{name}", meaning, value=getattr(counts, field))
        yield _gauge("cache_local_bytes", "Bytes that the local tier holds.", self._local_bytes())
        yield _gauge(
            "cache_breaker_open",
            "Whether the shared tier is left alone after it failed.",
            self._breaker_is_open(),
        )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"risk_tasks_{name}", meaning, value=float(value))
