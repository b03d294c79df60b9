"""What a process counts before it sends the counts."""

from __future__ import annotations

import pytest

from risk_tasks.errors import TransportError
from risk_tasks.keys import MAX_POPULAR_BYTES
from risk_tasks.service import Popularity


class Store:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent = []
        self.is_down = False

    def add(self, counted):
        if self.is_down:
            raise TransportError("down")
        self.sent.append(counted)


@pytest.fixture
def store():
    return Store()


def request_of(digest):
    return digest.encode() * 2


def test_counts_add_up_until_they_are_sent(store):
    popularity = Popularity(store)
    popularity.add({"a": 1.5, "b": 2.0}, request_of)
    popularity.add({"a": 1.0}, request_of)
    popularity.flush()
    popularity.flush()

    assert store.sent == [{"a": (2.5, b"aa"), "b": (2.0, b"bb")}, {}]


def test_a_request_is_encoded_once_between_two_flushes(store):
    """A frequent request is not encoded again."""
    encoded = []

    def encode(digest):
        encoded.append(digest)
        return b""

    popularity = Popularity(store)
    for _ in range(3):
        popularity.add({"a": 1.0}, encode)

    assert encoded == ["a"]


def test_the_number_of_requests_is_bounded(store):
    """New ones are not counted; known ones still are."""
    popularity = Popularity(store, capacity=2)
    popularity.add({"a": 1.0, "b": 1.0, "c": 1.0}, request_of)
    popularity.add({"a": 1.0}, request_of)
    popularity.flush()

    assert store.sent == [{"a": (2.0, b"aa"), "b": (1.0, b"bb")}]


def test_a_request_that_is_too_large_is_not_counted(store):
    popularity = Popularity(store)
    sizes = {"fits": MAX_POPULAR_BYTES, "large": MAX_POPULAR_BYTES + 1}
    popularity.add({"fits": 1.0, "large": 1.0}, lambda digest: bytes(sizes[digest]))
    popularity.flush()

    assert list(store.sent[0]) == ["fits"]


def test_counts_that_could_not_be_sent_are_dropped(store):
    """They do not accumulate while the server is down."""
    popularity = Popularity(store)
    popularity.add({"a": 1.0}, request_of)
    store.is_down = True
    with pytest.raises(TransportError):
        popularity.flush()
    store.is_down = False
    popularity.flush()

    assert store.sent == [{}]
