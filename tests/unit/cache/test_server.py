"""A server that fails and a server that refuses a call are different; neither raises."""

from __future__ import annotations

import pytest
import redis
from redis.exceptions import MaxConnectionsError

from risk_tasks.cache import CacheCounters, CacheServer, CircuitBreaker
from tests.unit.cache.support import Broken, Clock


@pytest.fixture
def counters():
    return CacheCounters()


@pytest.fixture
def breaker():
    return CircuitBreaker(n_failures=3, open_s=1.0, clock=Clock())


@pytest.mark.parametrize("kind", [redis.ConnectionError, redis.TimeoutError])
def test_a_server_that_does_not_answer_is_not_called_again(kind, counters, breaker):
    client = Broken(kind())
    server = CacheServer(client, counters, breaker)

    assert [server.call(lambda each: each.mget([])) for _ in range(5)] == [None] * 5
    assert client.n_calls == 3
    counts = counters.snapshot()
    assert (counts.errors, counts.refused, counts.breaker_openings) == (3, 2, 1)


@pytest.mark.parametrize("error", [redis.ResponseError("OOM"), MaxConnectionsError()])
def test_a_refused_call_does_not_open_the_circuit_breaker(error, counters, breaker):
    """A full server is still read from."""
    server = CacheServer(Broken(error), counters, breaker)

    assert [server.call(lambda each: each.mget([])) for _ in range(9)] == [None] * 9
    assert not breaker.is_open
    assert counters.snapshot().errors == 9


def test_an_error_of_our_own_is_raised(counters, breaker):
    """A defect must not look like a miss."""
    server = CacheServer(Broken(TypeError("ours")), counters, breaker)

    with pytest.raises(TypeError, match="ours"):
        server.call(lambda each: each.mget([]))
