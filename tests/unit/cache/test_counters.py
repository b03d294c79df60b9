"""Sums, their differences, and a ratio that says nothing where there is nothing to say."""

from __future__ import annotations

import threading

from risk_tasks.cache import CacheCounters, CacheCounts, Found


def test_without_requests_there_is_no_ratio():
    assert CacheCounts().as_dict()["cache_hit_ratio"] is None


def test_a_hit_of_either_tier_is_a_hit():
    counters = CacheCounters()
    here = [Found(b"", 1.0, 0.5), None, None, None]
    counters.tally("local", here)
    counters.tally("shared", [Found(b"", 1.0, 0.25), None, None])

    counts = counters.snapshot().as_dict()
    assert counts["cache_hit_ratio"] == 0.5
    assert counts["saved_s"] == 0.75
    assert (counts["local_hits"], counts["local_misses"]) == (1, 3)
    assert (counts["shared_hits"], counts["shared_misses"]) == (1, 2)


def test_threads_lose_no_count():
    counters = CacheCounters()

    def count():
        for _ in range(2_000):
            counters.add(waits=1, saved_s=0.5)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counters.snapshot() == CacheCounts(waits=16_000, saved_s=8_000)


def test_what_came_since_is_the_difference():
    counters = CacheCounters()
    counters.add(late=2)
    earlier = counters.snapshot()
    counters.add(late=3, errors=1)

    assert counters.snapshot().since(earlier) == CacheCounts(late=3, errors=1)
