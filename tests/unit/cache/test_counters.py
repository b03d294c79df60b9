"""Sums, their differences, and the hit ratio."""

from __future__ import annotations

import threading

from risk_tasks.cache import CacheCounters, CacheCounts
from tests.unit.cache.support import Clock, Fleet, Process, values


def test_a_hit_of_either_tier_is_a_hit():
    process = Process(Fleet(Clock()))
    process.tiers.local.set_many(values({b"a": b"here"}, 60, cost_s=0.5))
    process.fleet.values[b"b"] = b"there"
    process.tiers.get_many([b"a", b"b", b"c", b"d"])

    counts = process.counters.snapshot()
    assert (counts.hits, counts.look_ups) == (2, 4)
    assert counts.saved_s == 1.0
    assert (counts.local_hits, counts.local_misses) == (1, 3)
    assert (counts.shared_hits, counts.shared_misses) == (1, 2)


def test_a_look_up_that_is_not_counted_changes_no_sum():
    process = Process(Fleet(Clock()))
    process.tiers.get_many([b"a"], is_counted=False)

    assert process.counters.snapshot() == CacheCounts()


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


def test_since_returns_the_difference():
    counters = CacheCounters()
    counters.add(late=2)
    earlier = counters.snapshot()
    counters.add(late=3, errors=1)

    assert counters.snapshot().since(earlier) == CacheCounts(late=3, errors=1)
