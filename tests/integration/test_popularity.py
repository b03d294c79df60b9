"""Decayed counts over a real server, compared with their sum in Python."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.keys import CACHE_COUNTS_TTL_S, POPULAR_KEY, POPULAR_TTL_S
from risk_tasks.roles.result_cache import CacheReport, open_cache
from risk_tasks.service import Popularity
from risk_tasks.settings import Settings
from risk_tasks.store.prewarm import PopularityStore
from risk_tasks.store.roles import CacheCountsStore

pytestmark = pytest.mark.integration


@pytest.fixture
def empty(cache_server):
    """The server of the cache tests, without popular requests."""
    keys = cache_server.client.keys(f"{POPULAR_KEY}*")
    if keys:
        cache_server.client.delete(*keys)
    return cache_server.client


def request_of(digest):
    return b"request of " + digest.encode()


def counted(**counts):
    return {digest: (count, request_of(digest)) for digest, count in counts.items()}


def test_the_most_popular_request_comes_first(empty):
    """With the bytes that rebuild the request."""
    one, two = PopularityStore(empty), PopularityStore(empty)
    one.add(counted(a=1.0, b=2.0, c=0.5))
    two.add(counted(a=2.5))

    found = one.top(2)
    assert [(each.digest, each.request) for each in found] == [
        ("a", request_of("a")),
        ("b", request_of("b")),
    ]
    assert [each.count for each in found] == pytest.approx([3.5, 2.0], rel=1e-2)
    assert [each.digest for each in one.top(9)] == ["a", "b", "c"]
    assert one.top(0) == []


def test_without_counts_nothing_is_popular(empty):
    store = PopularityStore(empty)
    store.add({})

    assert store.top(5) == []


@settings(max_examples=15)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 5_000), st.sampled_from("abc"), st.floats(0.01, 1_000)),
        min_size=1,
        max_size=12,
    )
)
def test_counts_are_halved_as_time_passes(steps, cache_server):
    """Each count is halved for each half-life since it was added."""
    client, half_life_s = cache_server.client, 600.0
    client.delete(POPULAR_KEY)
    store = PopularityStore(client, half_life_s=half_life_s)
    sums: dict[str, float] = {}
    for passed_s, digest, weight in steps:
        # Time passes for the scores, which are in half-lives.
        for member in client.zrange(POPULAR_KEY, 0, -1):
            client.zincrby(POPULAR_KEY, -passed_s / half_life_s, member)
        sums = {each: count * 0.5 ** (passed_s / half_life_s) for each, count in sums.items()}
        store.add(counted(**{digest: weight}))
        sums[digest] = sums.get(digest, 0.0) + weight

    counts = {each.digest: each.count for each in store.top(3)}
    assert counts == pytest.approx(sums, rel=0.05)


def test_a_count_decays_between_two_reads(empty):
    """By the time that passed on the clock of the server."""
    store = PopularityStore(empty, half_life_s=0.2)
    store.add(counted(a=8.0))
    started_s = time.monotonic()
    (first,) = store.top(1)
    time.sleep(0.4)
    (second,) = store.top(1)

    assert 0 < second.count / first.count <= 0.25 + 1e-6
    assert time.monotonic() - started_s >= 0.4


def test_the_lowest_counts_are_removed_with_their_requests(empty):
    store = PopularityStore(empty, capacity=3)
    store.add(counted(a=4.0, b=3.0, c=2.0, d=1.0))
    store.add(counted(e=5.0))

    assert [each.digest for each in store.top(9)] == ["e", "a", "b"]
    assert sorted(empty.keys(f"{POPULAR_KEY}:*")) == [
        f"{POPULAR_KEY}:{digest}".encode() for digest in "abe"
    ]


def test_more_requests_than_one_script_call_takes_are_added(empty):
    many = {f"{place:04}": (1.0 + place, b"r") for place in range(1_201)}
    store = PopularityStore(empty, capacity=1_000)
    store.add(many)

    assert [each.digest for each in store.top(2_000)] == sorted(many, reverse=True)[:1_000]


def test_requests_expire_with_their_counts(empty):
    store = PopularityStore(empty)
    store.add(counted(a=1.0))
    empty.expire(f"{POPULAR_KEY}:a", 5)
    empty.expire(POPULAR_KEY, 5)
    store.add(counted(a=1.0))

    assert empty.ttl(POPULAR_KEY) > POPULAR_TTL_S - 10
    assert empty.ttl(f"{POPULAR_KEY}:a") > POPULAR_TTL_S - 10


def test_a_lost_request_is_left_out_until_it_is_stored_again(empty):
    store = PopularityStore(empty)
    store.add(counted(a=2.0, b=1.0))
    empty.delete(f"{POPULAR_KEY}:a")
    assert [each.digest for each in store.top(9)] == ["b"]
    store.add(counted(a=1.0))

    assert [each.digest for each in store.top(9)] == ["a", "b"]


def test_the_counts_of_a_process_arrive(empty):
    popularity = Popularity(PopularityStore(empty))
    popularity.add({"a": 2.0, "b": 1.0}, request_of)
    popularity.flush()

    assert [each.digest for each in PopularityStore(empty).top(9)] == ["a", "b"]


def test_the_cache_counts_of_a_fleet_add_up(server):
    """Each role sends what was added since its last report, once."""
    store = CacheCountsStore(server.client)
    caches = [open_cache(Settings.read(broker_url=server.url)) for _ in range(2)]
    reports = [
        CacheReport(cache, store, f"worker-{place}@{os.getpid()}")
        for place, cache in enumerate(caches)
    ]
    for cache in caches:
        cache.counters.add(local_hits=3, saved_s=0.25)
    for report in [*reports, *reports]:
        report.flush()
    caches[0].counters.add(local_hits=1)
    reports[0].flush()

    assert store.sums() == {"local_hits": 7, "saved_s": 0.5}
    states = store.states()
    assert len(states) == 2
    assert all(state == {"breaker": "closed", "local_bytes": "0"} for state in states.values())
    assert all(
        CACHE_COUNTS_TTL_S - 60 < server.client.ttl(key) <= CACHE_COUNTS_TTL_S
        for key in server.client.keys("risk:cache_counts:*")
    )
