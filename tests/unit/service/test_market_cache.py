"""The markets of a worker: each loaded once, the last few kept."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from risk_tasks.errors import DecodeError
from risk_tasks.service import MarketCache
from tests.unit.service.support import AS_OF, MARKET, make_market


class Loader:
    """Loads markets by id, and records the ids."""

    def __init__(self, *markets):
        self.markets = {market.id: market for market in markets}
        self.loaded = []

    def __call__(self, market_id):
        self.loaded.append(market_id)
        return self.markets.get(market_id)


def marked(price):
    """Return the market with new prices."""
    return MARKET.with_prices(np.full(3, price), as_of=AS_OF)


def test_a_market_is_loaded_once_for_any_number_of_threads():
    """Sixteen threads that all miss it cause one load, and get the same arrays."""
    n_threads, all_looked = 16, threading.Event()
    looked = itertools.count(1)
    loader = Loader(MARKET)

    def load(market_id):
        assert all_looked.wait(timeout=10)
        return loader(market_id)

    class Watched(MarketCache):
        def _find(self, market_id):
            found = super()._find(market_id)
            if next(looked) == n_threads + 1:  # the thread that loads looks twice
                all_looked.set()
            return found

    cache = Watched(load)
    with ThreadPoolExecutor(n_threads) as pool:
        found = list(pool.map(cache.get, [MARKET.id] * n_threads))

    assert loader.loaded == [MARKET.id]
    assert found[0].id == MARKET.id
    assert all(arrays is found[0] for arrays in found)


def test_a_market_in_memory_is_found_while_another_is_loaded():
    """Running checks do not wait for a new market."""
    loading, go_on = threading.Event(), threading.Event()
    other = marked(1.0)

    def load(market_id):
        if market_id == other.id:
            loading.set()
            assert go_on.wait(timeout=10)
        return {MARKET.id: MARKET, other.id: other}[market_id]

    cache = MarketCache(load)
    held = cache.get(MARKET.id)
    with ThreadPoolExecutor(1) as pool:
        swap = pool.submit(cache.get, other.id)
        assert loading.wait(timeout=10)

        during = cache.get(MARKET.id)

        go_on.set()
        assert swap.result(timeout=10).id == other.id
    assert during is held


def test_markets_on_one_panel_share_its_array():
    """New prices do not copy the returns; another panel has its own."""
    another = make_market(returns=np.zeros((10, 3)))
    cache = MarketCache(Loader(MARKET, marked(1.0), marked(2.0), another))

    first = cache.get(MARKET.id)
    second, third = cache.get(marked(1.0).id), cache.get(marked(2.0).id)
    fourth = cache.get(another.id)

    assert second.panel is first.panel
    assert third.panel is first.panel
    assert second.prices.tolist() == [1.0] * 3
    assert fourth.panel is not first.panel
    assert fourth.n_observations == 10


def test_a_panel_is_shared_while_any_market_on_it_is_in_memory():
    """Also after the newest market on it was evicted."""
    first, second, third = MARKET, marked(1.0), marked(2.0)
    another = make_market(returns=np.zeros((10, 3)))
    cache = MarketCache(Loader(first, second, third, another), capacity=2)

    held = cache.get(first.id)
    for market in (second, first, another, first):
        cache.get(market.id)
    assert set(cache.ids()) == {first.id, another.id}

    assert cache.get(third.id).panel is held.panel


def test_the_least_recently_used_market_is_evicted():
    """A market that is used stays."""
    one, two, three = marked(1.0), marked(2.0), marked(3.0)
    loader = Loader(one, two, three)
    cache = MarketCache(loader, capacity=2)

    for market in (one, two, one, three):
        cache.get(market.id)

    assert set(cache.ids()) == {one.id, three.id}
    cache.get(one.id)
    assert loader.loaded == [one.id, two.id, three.id]
    cache.get(two.id)
    assert loader.loaded == [one.id, two.id, three.id, two.id]


def test_four_markets_are_kept_by_default():
    """As in the settings."""
    markets = [marked(float(price)) for price in range(1, 6)]
    cache = MarketCache(Loader(*markets))

    for market in markets:
        cache.get(market.id)

    assert set(cache.ids()) == {market.id for market in markets[1:]}


def test_sharing_a_panel_does_not_count_as_using_a_market():
    """Of three markets on one panel the first is evicted."""
    one, two, three = marked(1.0), marked(2.0), marked(3.0)
    cache = MarketCache(Loader(one, two, three), capacity=2)

    for market in (one, two, three):
        cache.get(market.id)

    assert set(cache.ids()) == {two.id, three.id}


def test_a_missing_market_is_loaded_again_the_next_time():
    """It may be published a moment later, so its absence is not cached."""
    loader = Loader()
    cache = MarketCache(loader)

    assert cache.get(MARKET.id) is None
    loader.markets[MARKET.id] = MARKET

    assert cache.get(MARKET.id).id == MARKET.id
    assert cache.ids() == [MARKET.id]


def test_a_failed_load_is_tried_again():
    """The caller gets the error, and the cache is not left locked."""
    answers = iter([DecodeError("damaged"), MARKET])

    def load(market_id):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = MarketCache(load)
    with pytest.raises(DecodeError):
        cache.get(MARKET.id)

    assert cache.get(MARKET.id).id == MARKET.id
