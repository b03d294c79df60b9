"""The simulation, compared with systems whose throughput is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.capacity.costs import Costs, Line
from benchmarks.capacity.model import Setting, simulate

#: 2 ms in the client, 0.1 ms on the server, 10 ms in the worker, for blocks of any size
COSTS = Costs(Line(0.002, 0.0), Line(0.0001, 0.0), Line(0.010, 0.0), 0.0, 0.0)
#: the same with a server that is ten times slower
SERVER = replace(COSTS, server=Line(0.001, 0.0))


def test_a_line_passes_through_its_measurements():
    line = Line.through((20, 0.003), (420, 0.007))

    assert line.of(20) == pytest.approx(0.003)
    assert line.of(420) == pytest.approx(0.007)


def test_a_larger_block_that_took_less_time_adds_no_time():
    """Noise does not become a negative time."""
    assert Line.through((20, 0.003), (420, 0.002)) == Line(0.003, 0.0)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_workers_that_never_wait_limit_the_throughput(n):
    """A block takes 10 ms and three calls of the server."""
    found = simulate(COSTS, Setting(n, 3 * n, 100))

    assert found.calls_per_s == pytest.approx(n / (0.010 + 3 * 0.00002), rel=0.02)
    assert found.workers_busy == pytest.approx(1.0, abs=0.01)


def test_one_user_waits_for_each_step_in_turn():
    found = simulate(COSTS, Setting(4, 1, 100))

    # The last fifth of the worker's time comes after its answer.
    assert found.p50_s == pytest.approx(0.002 + 0.0001 + 0.008, rel=0.01)


def test_with_many_workers_the_server_limits_the_throughput():
    found = simulate(SERVER, Setting(40, 120, 100), lasting_s=1.0)

    assert found.calls_per_s == pytest.approx(1 / 0.001, rel=0.03)
    assert found.server_busy == pytest.approx(1.0, abs=0.02)


def test_idle_workers_use_time_of_the_server():
    idle = replace(SERVER, idle_s=0.5 / 40)

    found = simulate(idle, Setting(40, 120, 100), lasting_s=1.0)

    assert found.calls_per_s == pytest.approx(0.5 / 0.001, rel=0.05)


def test_few_cores_limit_the_throughput():
    """A block takes 12.1 ms of two cores."""
    found = simulate(COSTS, Setting(4, 12, 100, n_cores=2))

    assert found.calls_per_s == pytest.approx(2 / 0.0121, rel=0.03)


@settings(max_examples=20)
@given(n_workers=st.integers(1, 6), n_users=st.integers(1, 12), n_cores=st.integers(1, 8))
def test_throughput_never_exceeds_the_limit_of_a_part(n_workers, n_users, n_cores):
    found = simulate(COSTS, Setting(n_workers, n_users, 100, n_cores), lasting_s=1.0)

    bounds = (n_workers / 0.010, n_users / 0.0101, n_cores / 0.0121, 1 / 0.0001)
    # Blocks that started before the measurement end within it.
    assert found.calls_per_s <= min(bounds) * 1.05 + n_users / 0.8
