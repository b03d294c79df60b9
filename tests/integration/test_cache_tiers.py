"""One contract for every tier, over a real server: the value that was set, or None."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.integration.cache_support import Cache
from tests.integration.support import unique
from tests.unit.cache.support import values

pytestmark = pytest.mark.integration

TIERS = {
    "local": lambda cache: cache.local,
    "shared": lambda cache: cache.shared,
    "two tiers": lambda cache: cache.tiers,
    "two tiers, read elsewhere": lambda cache: cache.tiers,
}
#: much longer than a test: the clock of the server advances while that of the test stands
TTL_S = 100.0


class Standing:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Subject:
    """A tier to write to, a tier to read from, and their clock."""

    def __init__(self, url: str, kind: str) -> None:
        self.clock = Standing()
        prefix = unique("cache").encode()
        self.cache = Cache(url, prefix, self.clock)
        self.writer = TIERS[kind](self.cache)
        self.writer.get_many([b"read the clock of the server"])
        self.reader = self.writer
        if kind.endswith("elsewhere"):
            self.reader = TIERS[kind](Cache(url, prefix, self.clock))
            self.reader.get_many([b"read the clock of the server"])

    def set_many(self, entries: Mapping[bytes, bytes], ttl_s: float) -> None:
        self.writer.set_many(values(entries, ttl_s))

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [one and one.value for one in self.reader.get_many(keys)]


@pytest.fixture(params=TIERS)
def subject(request, cache_server):
    return Subject(cache_server.url, request.param)


def test_a_key_that_was_never_set_is_absent(subject):
    assert subject.get_many([b"a", b"b"]) == [None, None]
    assert subject.get_many([]) == []


def test_values_come_in_the_order_of_their_keys(subject):
    """With any bytes, and also for a key that is given twice."""
    entries = {b"": b"empty key", b"\x00\xff": b"", b"k": bytes(range(256)) * 400}
    subject.set_many(entries, TTL_S)

    keys = [b"k", b"absent", b"", b"k", b"\x00\xff"]
    assert subject.get_many(keys) == [entries.get(key) for key in keys]


def test_a_whole_block_is_kept_and_read(subject):
    entries = {b"%d" % place: b"value of %d" % place for place in range(2_000)}
    subject.set_many(entries, TTL_S)

    assert subject.get_many(list(entries)) == list(entries.values())


def test_the_last_value_is_kept(subject):
    subject.set_many({b"k": b"old"}, TTL_S)
    subject.set_many({b"k": b"new"}, TTL_S)

    assert subject.get_many([b"k"]) == [b"new"]


def test_a_value_expires_after_its_time_to_live(subject):
    """Not before, and exactly then."""
    subject.set_many({b"k": b"value"}, TTL_S)
    subject.clock.now_s = TTL_S - 1
    assert subject.get_many([b"k"]) == [b"value"]
    subject.clock.now_s = TTL_S

    assert subject.get_many([b"k"]) == [None]


def test_a_value_has_its_remaining_time_to_live_and_its_cost(subject):
    subject.writer.set_many(values({b"k": b"value"}, TTL_S, cost_s=0.25))
    subject.clock.now_s = 30.0

    (found,) = subject.reader.get_many([b"k"])
    assert found.value == b"value"
    assert found.ttl_s == pytest.approx(70, abs=1)
    assert found.cost_s == 0.25


def test_threads_share_a_tier(subject):
    """Each finds its own values and no others."""
    wrong: list[object] = []

    def work(name: int) -> None:
        for step in range(30):
            entries = {b"%d:%d" % (name, place): b"%d" % step for place in range(10)}
            subject.set_many(entries, TTL_S)
            found = subject.writer.get_many(list(entries))
            wrong.extend(one for one in found if one is None or one.value != b"%d" % step)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


class AgainstADict(RuleBasedStateMachine):
    """A tier and a dictionary with expiry return the same after the same calls."""

    make: Callable[[], Subject]

    def __init__(self) -> None:
        super().__init__()
        self.subject = type(self).make()
        self.model: dict[bytes, tuple[bytes, float]] = {}

    @rule(
        entries=st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), st.binary(max_size=9)),
        ttl=st.integers(1, 5),
    )
    def set_many(self, entries: dict[bytes, bytes], ttl: int) -> None:
        ends_s = self.subject.clock.now_s + ttl * TTL_S
        self.subject.set_many(entries, ttl * TTL_S)
        self.model |= {key: (value, ends_s) for key, value in entries.items()}

    @rule(keys=st.lists(st.sampled_from([b"a", b"b", b"c", b"d"])))
    def get_many(self, keys: list[bytes]) -> None:
        assert self.subject.get_many(keys) == [self.expected(key) for key in keys]

    @rule(halves=st.integers(1, 6))
    def let_time_pass(self, halves: int) -> None:
        self.subject.clock.now_s += halves * TTL_S / 2

    @invariant()
    def nothing_failed(self) -> None:
        counts = self.subject.cache.counts()
        assert (counts.errors, counts.corrupt, counts.local_evictions) == (0, 0, 0)

    def expected(self, key: bytes) -> Any:
        value, ends_s = self.model.get(key, (None, 0.0))
        return value if self.subject.clock.now_s < ends_s else None


@pytest.mark.parametrize("kind", ["local", "shared", "two tiers"])
def test_a_tier_returns_what_a_dictionary_with_expiry_returns(kind, cache_server):
    machine = type("Machine", (AgainstADict,), {"make": lambda: Subject(cache_server.url, kind)})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
