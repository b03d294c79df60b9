"""When a circuit breaker allows calls, by an injected clock."""

from __future__ import annotations

import pytest

from risk_tasks.cache import CircuitBreaker
from tests.unit.cache.support import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(n_failures=3, open_s=2.0, clock=clock)


def open_it(breaker):
    return [breaker.failure() for _ in range(3)]


def test_it_opens_at_the_third_failure_in_a_row(breaker):
    breaker.failure()
    breaker.failure()
    breaker.success()

    assert breaker.allows()
    assert open_it(breaker) == [False, False, True]
    assert breaker.is_open
    assert not breaker.allows()


def test_it_allows_one_probe_after_a_while(breaker, clock):
    open_it(breaker)
    clock.now_s += 1.99
    assert not breaker.allows()
    clock.now_s += 0.01

    assert breaker.allows()
    assert breaker.is_open
    assert not breaker.allows()


def test_a_successful_probe_closes_it(breaker, clock):
    open_it(breaker)
    clock.now_s += 2
    breaker.allows()
    breaker.success()

    assert not breaker.is_open
    assert breaker.allows()
    assert breaker.allows()
    assert not breaker.failure()


def test_a_failed_probe_leaves_it_open_for_the_same_time_again(breaker, clock):
    open_it(breaker)
    clock.now_s += 2
    breaker.allows()

    assert not breaker.failure()
    assert breaker.is_open
    clock.now_s += 1.9
    assert not breaker.allows()
    clock.now_s += 0.1
    assert breaker.allows()


def test_a_probe_that_never_reports_is_followed_by_another(breaker, clock):
    """Its thread may have died."""
    open_it(breaker)
    clock.now_s += 2
    assert breaker.allows()
    clock.now_s += 2

    assert breaker.allows()
