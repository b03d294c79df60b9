"""The clock of a server between two readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from risk_tasks.server_clock import ServerClock
from tests.unit.cache.support import Clock


def test_the_server_clock_advances_between_readings():
    clock = Clock()
    server_clock = ServerClock(clock=clock, refresh_s=10)
    assert server_clock.is_due()
    assert server_clock.now_ms() is None

    server_clock.set((1_700_000_000, 250_900))
    clock.now_s += 2.5

    assert server_clock.now_ms() == 1_700_000_002_750
    assert not server_clock.is_due()
    clock.now_s += 8
    assert server_clock.is_due()


def test_the_server_clock_follows_a_server_that_is_set_back():
    server_clock = ServerClock(clock=Clock())
    server_clock.set((1_700_000_000, 0))
    server_clock.set((1_600_000_000, 0))

    assert server_clock.now_ms() == 1_600_000_000_000


def test_before_the_first_reading_the_time_is_that_of_this_machine():
    clock = ServerClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)

    clock.set((1_700_000_000, 0))

    assert abs(clock.now() - datetime.fromtimestamp(1_700_000_000, UTC)) < timedelta(minutes=1)
