"""A server that fails is told apart from one that refuses; neither is an error."""

from __future__ import annotations

import pytest
import redis
from redis.exceptions import MaxConnectionsError

from risk_tasks.cache import Breaker, BreakerState, CacheCounters, CacheServer
from risk_tasks.cache.server import ServerClock
from tests.unit.cache.support import Broken, Clock


@pytest.fixture
def counters():
    return CacheCounters()


@pytest.fixture
def breaker():
    return Breaker(n_failures=3, open_s=1.0, clock=Clock())


@pytest.mark.parametrize("kind", [redis.ConnectionError, redis.TimeoutError])
def test_a_server_that_does_not_answer_is_left_alone(kind, counters, breaker):
    client = Broken(kind())
    server = CacheServer(client, counters, breaker)

    assert [server.ask(lambda each: each.mget([])) for _ in range(5)] == [None] * 5
    assert client.n_calls == 3
    counts = counters.snapshot()
    assert (counts.errors, counts.refused, counts.breaker_openings) == (3, 2, 1)


@pytest.mark.parametrize("error", [redis.ResponseError("OOM"), MaxConnectionsError()])
def test_a_call_that_is_refused_says_nothing_about_the_server(error, counters, breaker):
    """A full server is still read from."""
    server = CacheServer(Broken(error), counters, breaker)

    assert [server.ask(lambda each: each.mget([])) for _ in range(9)] == [None] * 9
    assert breaker.state is BreakerState.CLOSED
    assert counters.snapshot().errors == 9


def test_what_is_no_fault_of_the_server_is_raised(counters, breaker):
    """A defect of ours should not read as a miss for ever."""
    server = CacheServer(Broken(TypeError("ours")), counters, breaker)

    with pytest.raises(TypeError, match="ours"):
        server.ask(lambda each: each.mget([]))


def test_the_servers_clock_goes_on_between_answers():
    clock = Clock()
    server_clock = ServerClock(clock=clock, refresh_s=10)
    assert server_clock.is_due()
    assert server_clock.now_ms() is None

    server_clock.learn((1_700_000_000, 250_900))
    clock.now_s += 2.5

    assert server_clock.now_ms() == 1_700_000_002_750
    assert not server_clock.is_due()
    clock.now_s += 8
    assert server_clock.is_due()


def test_a_server_whose_clock_was_set_is_believed_anew():
    server_clock = ServerClock(clock=Clock())
    server_clock.learn((1_700_000_000, 0))
    server_clock.learn((1_600_000_000, 0))

    assert server_clock.now_ms() == 1_600_000_000_000
