"""What a process gathers of requests before it sends them."""

from __future__ import annotations

import pytest

from risk_tasks.errors import TransportError
from risk_tasks.keys import MAX_POPULAR_BYTES
from risk_tasks.store.prewarm import Popularity


class Store:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.sent = []
        self.is_away = False

    def add(self, asked):
        if self.is_away:
            raise TransportError("away")
        self.sent.append(asked)


@pytest.fixture
def store():
    return Store()


def request_of(digest):
    return digest.encode() * 2


def test_weights_add_up_until_they_are_sent(store):
    popularity = Popularity(store)
    popularity.note([("a", 1.0), ("b", 2.0), ("a", 0.5)], request_of)
    popularity.note([("a", 1.0)], request_of)
    popularity.flush()
    popularity.flush()

    assert store.sent == [{"a": (2.5, b"aa"), "b": (2.0, b"bb")}, {}]


def test_a_request_is_built_once_between_two_flushes(store):
    """Of what is asked for again and again, the bytes are there already."""
    built = []

    def build(digest):
        built.append(digest)
        return b""

    popularity = Popularity(store)
    for _ in range(3):
        popularity.note([("a", 1.0)], build)

    assert built == ["a"]


def test_what_is_gathered_is_bounded(store):
    """New ones find no room; those that are there are counted on."""
    popularity = Popularity(store, capacity=2)
    popularity.note([("a", 1.0), ("b", 1.0), ("c", 1.0), ("a", 1.0)], request_of)
    popularity.flush()

    assert store.sent == [{"a": (2.0, b"aa"), "b": (1.0, b"bb")}]


def test_a_request_that_is_too_large_is_not_counted(store):
    popularity = Popularity(store)
    sizes = {"fits": MAX_POPULAR_BYTES, "large": MAX_POPULAR_BYTES + 1}
    popularity.note([("fits", 1.0), ("large", 1.0)], lambda digest: bytes(sizes[digest]))
    popularity.flush()

    assert list(store.sent[0]) == ["fits"]


def test_what_could_not_be_sent_is_not_sent_later(store):
    """A count less: it does not pile up while the server is away."""
    popularity = Popularity(store)
    popularity.note([("a", 1.0)], request_of)
    store.is_away = True
    with pytest.raises(TransportError):
        popularity.flush()
    store.is_away = False
    popularity.flush()

    assert store.sent == [{}]
