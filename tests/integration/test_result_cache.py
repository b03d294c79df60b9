"""Costly measures through the result cache: the same bits as the engine, computed once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import redis

from risk_tasks.cache.single_flight import Flight
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.engine.content import content_digests
from risk_tasks.model.column import Outcome
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.registry import MEASURES, Qualifier
from risk_tasks.model.scenario import Scenario
from risk_tasks.roles.result_cache import TieredCache, open_cache
from risk_tasks.service import ResultCache
from risk_tasks.service import result_cache as result_cache_module
from risk_tasks.settings import Settings
from tests.integration.support import Server

pytestmark = pytest.mark.integration

AS_OF = datetime(2024, 5, 1, tzinfo=UTC)
NAMES = parse_measures(
    ["gross_exposure", "monte_carlo_value_at_risk", "monte_carlo_expected_shortfall@0.95"]
)
SETTINGS = MeasureSettings(n_paths=1_000_000 // 100)
P, N = 40, 5


def snapshot(**change) -> MarketSnapshot:
    dice = np.random.default_rng(3)
    fields = {
        "as_of": AS_OF,
        "instruments": [f"I{place}" for place in range(8)],
        "prices": np.linspace(1, 8, 8),
        "returns": dice.normal(0, 0.02, (120, 8)),
    }
    return MarketSnapshot(**{**fields, **change})


MARKET = MarketArrays.of(snapshot())


def make_block(seed: int = 5) -> PortfolioBlock:
    dice = np.random.default_rng(seed)
    held = np.concatenate([dice.choice(7, N, replace=False) for _ in range(P)])
    return PortfolioBlock(
        np.arange(0, P * N + 1, N),
        held,
        dice.integers(-90, 90, P * N).astype(np.float64),
        np.full(P, np.nan),
        np.full(P, 1e4),
    )


BLOCK = make_block()


def open_one(server: Server) -> tuple[TieredCache, ResultCache]:
    """Return the cache of a worker; each call returns that of another worker on the server."""
    cache = open_cache(Settings.read(broker_url=server.url))
    return cache, ResultCache(cache.flights, ttl_s=60.0)


@pytest.fixture
def emptied(server: Server) -> Server:
    """A server without results."""
    for key in server.client.scan_iter(match="risk:cache:*", count=10_000):
        server.client.delete(key)
    return server


@pytest.fixture
def computed(monkeypatch) -> list[tuple[int, Sequence[MeasureName]]]:
    """The number of portfolios and the measures of each call of the engine."""
    calls: list[tuple[int, Sequence[MeasureName]]] = []

    def watched(block, market, names, settings):
        if any(name.definition.by_path for name in names):
            calls.append((len(block), tuple(names)))
        return compute(block, market, names, settings)

    monkeypatch.setattr(result_cache_module, "compute", watched)
    return calls


def ask(results: ResultCache, block=BLOCK, market=MARKET, settings=SETTINGS, timeout_s=20.0):
    until_s = time.monotonic() + timeout_s
    return results.compute(block, market, NAMES, settings, until_s=until_s)


def assert_same(found, block=BLOCK, market=MARKET, settings=SETTINGS) -> None:
    expected = compute(block, market, NAMES, settings)
    assert list(found) == list(NAMES)
    for name, column in found.items():
        assert column.values.tobytes() == expected[name].values.tobytes(), str(name)
        assert column.outcomes.tobytes() == expected[name].outcomes.tobytes(), str(name)
        counts = [one.n_observations for one in (column, expected[name])]
        assert len({None if one is None else tuple(one.tolist()) for one in counts}) == 1
        assert column.values.flags.writeable


def test_a_computed_result_is_found_with_the_same_bits(emptied, computed):
    """In the same worker, and through the server in another one."""
    first, other = open_one(emptied), open_one(emptied)
    for _, results in (first, first, other, other):
        assert_same(ask(results))
    assert computed == [(P, NAMES[1:])]
    assert first[0].counters.snapshot().local_hits == 2 * P
    counts = other[0].counters.snapshot()
    assert (counts.shared_hits, counts.local_hits) == (2 * P, 2 * P)
    assert counts.saved_s > 0
    assert first[1].drain() == {
        "monte_carlo_value_at_risk:hits": P,
        "monte_carlo_value_at_risk:misses": P,
        "monte_carlo_expected_shortfall:hits": P,
        "monte_carlo_expected_shortfall:misses": P,
    }


def test_only_the_missing_results_of_a_block_are_computed(emptied, computed):
    """In one call, and returned in order; equal books are computed once."""
    _, results = open_one(emptied)
    known = np.arange(0, P, 3)
    ask(results, BLOCK.rows(known))
    mixed = BLOCK.rows(np.concatenate([np.arange(P), [1, 1, 0]]))

    assert_same(ask(results, mixed), mixed)

    assert computed == [(len(known), NAMES[1:]), (P - len(known), NAMES[1:])]


def test_cheap_measures_are_never_looked_up(emptied):
    """Neither on the server nor in the local tier."""
    cache, results = open_one(emptied)
    names = parse_measures(None)

    results.compute(BLOCK, MARKET, names, MeasureSettings(), until_s=0.0)

    assert cache.counters.snapshot() == type(cache.counters.snapshot())()


CHANGES = {
    "seed": {"settings": replace(SETTINGS, seed=1)},
    "paths": {"settings": replace(SETTINGS, n_paths=2_000 * 10)},
    "confidence": {"settings": replace(SETTINGS, confidence="0.9")},
    "horizon": {"settings": replace(SETTINGS, horizon_days=10)},
    "prices": {"market": MarketArrays.of(snapshot(prices=np.linspace(1, 9, 8)))},
    "returns": {"market": MarketArrays.of(snapshot(returns=np.full((120, 8), 0.01)))},
    "covariance": {"market": MarketArrays.of(snapshot(covariance=np.eye(8)))},
    "quantities": {"block": replace(BLOCK, quantity=BLOCK.quantity + 1)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_input_is_not_answered_from_the_cache(emptied, change):
    """A key covers everything that its result depends on."""
    _, results = open_one(emptied)
    ask(results)

    assert_same(ask(results, **change), **change)


ELSE = {
    "moment": {"market": MarketArrays.of(snapshot(as_of=datetime(2025, 1, 1, tzinfo=UTC)))},
    "scenarios": {"market": MarketArrays.of(snapshot(scenarios={"s": Scenario({}, others=-0.1)}))},
    "tags": {"market": MarketArrays.of(snapshot(tags={"I0": {"sector": "oil"}}))},
    "a price of an instrument that is not held": {
        "market": MarketArrays.of(snapshot(prices=[*np.linspace(1, 8, 8)[:7], 50.0]))
    },
    "nav": {"block": replace(BLOCK, nav=np.full(P, 7.0))},
    "cash": {"block": replace(BLOCK, cash=np.full(P, 7.0))},
}
COSTLY = [
    MeasureName(name, item={Qualifier.INSTRUMENT: "I0"}.get(one.qualifier))
    for name, one in MEASURES.items()
    if one.is_looked_up(SETTINGS.n_paths)
]


@pytest.mark.parametrize("change", ELSE.values(), ids=ELSE.keys())
@pytest.mark.parametrize("name", COSTLY, ids=str)
def test_an_input_outside_the_key_does_not_change_a_cached_measure(name, change):
    """A costly measure that also read other inputs would have wrong results."""
    market, block = change.get("market", MARKET), change.get("block", BLOCK)
    assert content_digests(block, market) == content_digests(BLOCK, MARKET)

    one, other = (
        compute(held, at, [name], SETTINGS)[name] for held, at in ((BLOCK, MARKET), (block, market))
    )

    assert one.values.tobytes() == other.values.tobytes()
    assert one.outcomes.tobytes() == other.outcomes.tobytes()


KEYS = """
from tests.integration.test_result_cache import BLOCK, MARKET, NAMES, SETTINGS
from risk_tasks.service.result_cache import _Cells
print([key.hex() for key in _Cells(BLOCK, MARKET, NAMES[1:], SETTINGS).keys])
"""


def test_keys_are_the_same_in_every_process():
    """With any hash seed."""
    printed = {
        subprocess.run(
            [sys.executable, "-c", KEYS],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert len(set(eval(printed.pop()))) == 2 * P


def test_without_a_server_everything_is_computed():
    """And found again in the same worker."""
    cache = open_cache(Settings.read(broker_url="redis://127.0.0.1:1/0"))
    results = ResultCache(cache.flights, ttl_s=60.0)

    assert_same(ask(results))
    assert_same(ask(results))
    assert cache.counters.snapshot().local_hits == 2 * P


def test_a_damaged_entry_is_computed_again(emptied):
    """Its bytes are never read as a number."""
    ask(open_one(emptied)[1])
    binary = redis.Redis.from_url(emptied.url)
    for key in binary.scan_iter(match="risk:cache:*"):
        data = bytearray(binary.get(key))
        data[-3] ^= 1
        binary.set(key, bytes(data))

    cache, results = open_one(emptied)
    assert_same(ask(results))
    assert cache.counters.snapshot().corrupt == 2 * P


def test_a_result_of_another_worker_is_awaited_and_not_in_time_at_the_deadline(emptied, computed):
    """It has no value, so that a limit on it is not evaluated."""
    holder, (_, results) = open_one(emptied), open_one(emptied)
    cells = result_cache_module._Cells(BLOCK, MARKET, NAMES[1:], SETTINGS)
    with Flight(holder[0].flights, cells.keys, 30.0) as flight:
        flight.take()
        late = ask(results, timeout_s=0.2)
        for name in NAMES[1:]:
            assert (late[name].outcomes == Outcome.NOT_IN_TIME).all()
            assert not late[name].has_value.any()
            assert np.isnan(late[name].values).all()
        assert computed == []

        landing = threading.Timer(0.2, lambda: flight.finish(cells.compute(flight.mine, 60.0)))
        landing.start()
        assert_same(ask(results))
        landing.join()
    assert computed == [(P, NAMES[1:])]


def test_refresh_computes_only_results_that_are_about_to_expire(emptied, computed):
    """By their remaining time to live."""
    _, results = open_one(emptied)
    costly = NAMES[1:]

    assert results.refresh(BLOCK, MARKET, costly, SETTINGS, fresh_s=30.0) == 2 * P
    assert results.refresh(BLOCK, MARKET, costly, SETTINGS, fresh_s=30.0) == 0
    assert results.refresh(BLOCK, MARKET, costly, SETTINGS, fresh_s=61.0) == 2 * P

    assert [n for n, _ in computed] == [P, P]
    assert_same(ask(results))
