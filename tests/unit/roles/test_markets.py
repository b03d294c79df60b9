"""What a worker loads of what it is told."""

from __future__ import annotations

import threading

import pytest

from risk_tasks.errors import TransportError
from risk_tasks.roles.markets import MarketsAhead


def test_what_was_told_last_is_loaded():
    """Each market by its id, and again by the next look, because the cache may have evicted one."""
    loaded = []
    ahead = MarketsAhead(loaded.append)
    ahead.tell({"default": "old"})
    ahead.tell({"default": "a", "other": "b"})
    ahead.hold()
    ahead.hold()

    assert loaded == ["a", "b", "a", "b"]


def test_one_that_could_not_be_loaded_is_tried_again():
    answers = iter([TransportError(), None])
    loaded = []

    def load(market_id: str) -> None:
        loaded.append(market_id)
        error = next(answers)
        if error:
            raise error

    ahead = MarketsAhead(load)
    ahead.tell({"default": "a"})
    with pytest.raises(TransportError):
        ahead.hold()
    ahead.hold()

    assert loaded == ["a", "a"]


def test_it_ends_though_nothing_is_told():
    """Its thread waits for what never comes."""
    ahead = MarketsAhead(print)
    ahead.start()
    ahead.stop()

    assert "markets" not in {thread.name for thread in threading.enumerate()}
