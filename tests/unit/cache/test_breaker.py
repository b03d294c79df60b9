"""When calls are made, by an injected clock."""

from __future__ import annotations

import pytest

from risk_tasks.cache import Breaker, BreakerState
from tests.unit.cache.support import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(n_failures=3, open_s=2.0, clock=clock)


def open_it(breaker):
    return [breaker.failed() for _ in range(3)]


def test_it_opens_at_the_third_failure_in_a_row(breaker):
    breaker.failed()
    breaker.failed()
    breaker.succeeded()

    assert breaker.allows()
    assert open_it(breaker) == [False, False, True]
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows()


def test_one_probe_goes_through_after_a_while(breaker, clock):
    open_it(breaker)
    clock.now_s += 1.99
    assert not breaker.allows()
    clock.now_s += 0.01

    assert breaker.allows()
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.allows()


def test_a_probe_that_succeeds_closes_it(breaker, clock):
    open_it(breaker)
    clock.now_s += 2
    breaker.allows()
    breaker.succeeded()

    assert breaker.state is BreakerState.CLOSED
    assert breaker.allows()
    assert breaker.allows()
    assert not breaker.failed()


def test_a_probe_that_fails_leaves_it_open_as_long_again(breaker, clock):
    open_it(breaker)
    clock.now_s += 2
    breaker.allows()

    assert not breaker.failed()
    assert breaker.state is BreakerState.OPEN
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
