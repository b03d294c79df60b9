"""The simulation against systems whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.capacity.costs import Costs, Line
from benchmarks.capacity.model import Setting, simulate

#: 2 ms in the client, 0.1 ms on the server, 10 ms in the worker, for blocks of any size
COSTS = Costs(Line(0.002, 0.0), Line(0.0001, 0.0), Line(0.010, 0.0), 0.0, 0.0)
#: and with a server that is ten times slower
SERVER = replace(COSTS, server=Line(0.001, 0.0))


def test_a_line_goes_through_what_was_measured():
    line = Line.through((20, 0.003), (420, 0.007))

    assert line.of(20) == pytest.approx(0.003)
    assert line.of(420) == pytest.approx(0.007)


def test_a_larger_block_that_cost_less_costs_nothing_more():
    """Noise, which must not become a time below zero."""
    assert Line.through((20, 0.003), (420, 0.002)) == Line(0.003, 0.0)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_workers_that_never_wait_are_the_bound(n):
    """10 ms and their own three calls of the server, a block."""
    told = simulate(COSTS, Setting(n, 3 * n, 100))

    assert told.calls_per_s == pytest.approx(n / (0.010 + 3 * 0.00002), rel=0.02)
    assert told.workers_busy == pytest.approx(1.0, abs=0.01)


def test_one_user_waits_for_everything_in_turn():
    told = simulate(COSTS, Setting(4, 1, 100))

    # The last fifth of the worker's time comes after its answer.
    assert told.p50_s == pytest.approx(0.002 + 0.0001 + 0.008, rel=0.01)


def test_the_server_is_the_bound_in_the_end():
    told = simulate(SERVER, Setting(40, 120, 100), lasting_s=1.0)

    assert told.calls_per_s == pytest.approx(1 / 0.001, rel=0.03)
    assert told.server_busy == pytest.approx(1.0, abs=0.02)


def test_workers_that_wait_take_their_share_of_the_server():
    idle = replace(SERVER, idle_s=0.5 / 40)

    told = simulate(idle, Setting(40, 120, 100), lasting_s=1.0)

    assert told.calls_per_s == pytest.approx(0.5 / 0.001, rel=0.05)


def test_cores_are_the_bound_where_there_are_few():
    """12.1 ms of cores a block, and two of them."""
    told = simulate(COSTS, Setting(4, 12, 100, n_cores=2))

    assert told.calls_per_s == pytest.approx(2 / 0.0121, rel=0.03)


@settings(max_examples=20)
@given(n_workers=st.integers(1, 6), n_users=st.integers(1, 12), n_cores=st.integers(1, 8))
def test_nothing_is_done_faster_than_its_parts_allow(n_workers, n_users, n_cores):
    told = simulate(COSTS, Setting(n_workers, n_users, 100, n_cores), lasting_s=1.0)

    bounds = (n_workers / 0.010, n_users / 0.0101, n_cores / 0.0121, 1 / 0.0001)
    # Blocks that began before the count did end in it.
    assert told.calls_per_s <= min(bounds) * 1.05 + n_users / 0.8
