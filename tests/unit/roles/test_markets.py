"""Which markets a worker loads in advance."""

from __future__ import annotations

import threading

import pytest

from risk_tasks.errors import TransportError
from risk_tasks.roles.markets import MarketPreloader


def test_the_current_markets_are_loaded():
    """By id, and again the next time, because the cache may have evicted one."""
    loaded = []
    preloader = MarketPreloader(loaded.append)
    preloader.set_current({"default": "old"})
    preloader.set_current({"default": "a", "other": "b"})
    preloader.load_current()
    preloader.load_current()

    assert loaded == ["a", "b", "a", "b"]


def test_a_failed_load_is_tried_again():
    answers = iter([TransportError(), None])
    loaded = []

    def load(market_id: str) -> None:
        loaded.append(market_id)
        error = next(answers)
        if error:
            raise error

    preloader = MarketPreloader(load)
    preloader.set_current({"default": "a"})
    with pytest.raises(TransportError):
        preloader.load_current()
    preloader.load_current()

    assert loaded == ["a", "a"]


def test_it_stops_without_a_current_market():
    """Its thread still waits for the first one."""
    preloader = MarketPreloader(print)
    preloader.start()
    preloader.stop()

    assert "markets" not in {thread.name for thread in threading.enumerate()}
