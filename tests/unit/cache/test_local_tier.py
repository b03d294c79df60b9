"""The tier in memory: its bounds and its order of eviction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.cache import CacheCounters, LocalTier
from risk_tasks.cache.tiers import ENTRY_OVERHEAD_BYTES
from tests.unit.cache.support import Clock, values

KEYS = [b"%02d" % number for number in range(20)]
ENTRY_BYTES = 2 + 98 + ENTRY_OVERHEAD_BYTES
VALUE = b"v" * 98


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counters():
    return CacheCounters()


@pytest.fixture
def tier(counters, clock):
    """Room for three entries of `VALUE`."""
    return LocalTier(3 * ENTRY_BYTES, counters, clock=clock)


def held(tier, keys=KEYS):
    return [key for key, found in zip(keys, tier.get_many(keys)) if found is not None]


def test_the_least_recently_used_entry_is_evicted_first(tier, counters):
    tier.set_many(values(dict.fromkeys(KEYS[:3], VALUE), 60))
    tier.get_many(KEYS[:1])
    tier.set_many(values({KEYS[3]: VALUE}, 60))

    assert held(tier) == [KEYS[0], KEYS[2], KEYS[3]]
    assert counters.snapshot().local_evictions == 1


def test_an_expired_entry_is_removed_before_any_other(tier, counters, clock):
    """This does not count as an eviction."""
    tier.set_many(values({KEYS[0]: VALUE}, 60))
    tier.set_many(values({KEYS[1]: VALUE}, 5))
    tier.set_many(values({KEYS[2]: VALUE}, 60))
    clock.now_s += 5
    tier.set_many(values({KEYS[3]: VALUE}, 60))

    assert held(tier) == [KEYS[0], KEYS[2], KEYS[3]]
    assert counters.snapshot().local_evictions == 0


def test_an_entry_larger_than_the_tier_is_not_kept(tier):
    """The earlier entry of its key is removed too."""
    tier.set_many(values({KEYS[0]: VALUE, KEYS[1]: VALUE}, 60))
    tier.set_many(values({KEYS[0]: b"v" * 3 * ENTRY_BYTES}, 60))

    assert held(tier) == [KEYS[1]]


def test_a_tier_of_no_bytes_keeps_nothing(counters, clock):
    tier = LocalTier(0, counters, clock=clock)
    tier.set_many(values({b"": b""}, 60))

    assert tier.get_many([b""]) == [None]


@given(sizes=st.lists(st.integers(0, 4_000), max_size=40))
def test_it_never_holds_more_than_its_bytes(sizes):
    tier = LocalTier(8_000, CacheCounters(), clock=Clock())
    for i, size in enumerate(sizes):
        tier.set_many(values({b"%d" % (i % 15): b"v" * size}, 60))

        assert 0 <= tier.size_bytes <= 8_000


def test_its_size_excludes_expired_entries(tier, clock):
    tier.set_many(values({KEYS[0]: VALUE}, 5))
    tier.set_many(values({KEYS[1]: VALUE}, 60))
    clock.now_s += 5

    assert tier.size_bytes == ENTRY_BYTES
