"""Which flight computes which key, step by step, with a clock that a test moves."""

from __future__ import annotations

import pytest

from risk_tasks.cache.single_flight import Flight
from tests.unit.cache.support import Clock, Fleet, Process, values

A, B, C = b"a", b"b", b"c"
PROCESSES = pytest.mark.parametrize("process", ["same", "other"])


@pytest.fixture
def fleet():
    return Fleet(Clock())


@pytest.fixture
def one(fleet):
    return Process(fleet)


@pytest.fixture
def two(fleet):
    return Process(fleet)


def far(fleet):
    return fleet.clock() + 60


def process_of(process, one, two):
    return one if process == "same" else two


def test_each_key_is_computed_by_one_flight(one, two):
    """In the fleet, and among the threads of a process."""
    first, beside, remote = one.start(A, B), one.start(B, C), two.start(C, A)

    assert (first.mine, [*first.missing]) == ([A, B], [])
    assert (beside.mine, [*beside.missing]) == ([C], [B])
    assert (remote.mine, sorted(remote.missing)) == ([], [A, C])


def test_a_key_that_is_given_twice_is_computed_once(one):
    assert one.start(A, A).mine == [A]


@PROCESSES
def test_a_waiting_flight_gets_what_another_has_computed(process, fleet, one, two):
    leader = one.start(A)
    waiter = process_of(process, one, two).start(A)
    leader.finish(values({A: b"value"}, 60, cost_s=0.5))

    assert not waiter.wait(far(fleet))
    assert waiter.found == leader.found == {A: b"value"}
    assert fleet.leases == {}
    counts = process_of(process, one, two).counters.snapshot()
    assert (counts.waits, counts.arrivals, counts.saved_s) == (1, 1, 0.5)
    assert two.pauses_s == []


@PROCESSES
def test_a_waiting_flight_takes_over_what_was_released(process, fleet, one, two):
    """Because the computation raised."""
    waiting = process_of(process, one, two)
    leader = one.start(A)
    waiter = waiting.start(A)
    with pytest.raises(ZeroDivisionError), leader:
        _ = 1 / 0

    assert waiter.wait(far(fleet))
    assert (waiter.mine, [*waiter.missing]) == ([A], [])
    assert waiting.counters.snapshot().take_overs == 1


def test_what_was_not_computed_is_released(fleet, one, two):
    leader, waiter = one.start(A, B), two.start(A, B)
    leader.finish(values({A: b"value"}, 60))

    assert leader.mine == []
    assert waiter.wait(far(fleet))
    assert (waiter.found, waiter.mine) == ({A: b"value"}, [B])


def test_the_keys_of_a_dead_process_are_free_after_its_lease(fleet, one, two):
    one.start(A, lease_s=3.0)  # and its process dies
    started_s = fleet.clock()
    waiter = two.start(A)

    assert waiter.wait(far(fleet))
    assert 3.0 <= fleet.clock() - started_s <= 3.0 + 0.05
    assert two.counters.snapshot().take_overs == 1


def test_pauses_grow_with_the_time_waited(fleet, one, two):
    """A tenth of it: a value is seen soon after it arrives, with few calls of the server."""
    one.start(A, lease_s=3.0)
    two.start(A).wait(far(fleet))

    assert two.pauses_s[0] == 0.002
    assert two.pauses_s == sorted(two.pauses_s)
    assert two.pauses_s[-1] == 0.05
    assert len(two.pauses_s) < 120


@PROCESSES
def test_a_flight_stops_waiting_at_its_deadline(process, fleet, one, two):
    waiting = process_of(process, one, two)
    one.start(A, lease_s=600)
    waiter = waiting.start(A, B)
    waiter.finish(values({B: b"value"}, 60))
    until_s = fleet.clock() + (0 if process == "same" else 7)

    assert not waiter.wait(until_s)
    assert ([*waiter.missing], waiter.found) == ([A], {B: b"value"})
    assert fleet.clock() == until_s
    assert waiting.counters.snapshot().late == 1


def test_a_flight_that_is_late_lets_another_poll(fleet, one, two):
    """Otherwise its process would never ask for the key again."""
    one.start(A, lease_s=600)
    late, next_one = two.start(A), two.start(A)
    late.wait(fleet.clock())

    fleet.values[A] = b"value"
    assert not next_one.wait(far(fleet))
    assert next_one.found == {A: b"value"}


def test_without_a_server_processes_do_not_wait_for_each_other(fleet, one, two):
    """Threads of one process still do."""
    fleet.is_down = True
    leader, other, beside = one.start(A), two.start(A), one.start(A)

    assert leader.mine == other.mine == [A]
    assert [*beside.missing] == [A]


def test_without_a_server_a_process_computes_a_key_once(fleet, one):
    """A flight that starts later finds the value in memory."""
    fleet.is_down = True
    one.start(A).finish(values({A: b"value"}, 60))

    flight = one.start(A)
    assert (flight.found, flight.mine) == ({A: b"value"}, [])


def test_a_value_that_no_tier_keeps_reaches_the_threads_that_wait(fleet):
    """Too large for memory, and the server is down: it is passed from thread to thread."""
    process = Process(fleet, local_bytes=0)
    fleet.is_down = True
    leader, waiter = process.start(A), process.start(A)
    leader.finish(values({A: b"value"}, 60))

    assert not waiter.wait(far(fleet))
    assert waiter.found == {A: b"value"}


def test_a_flight_that_waits_while_the_server_goes_down_computes(fleet, one, two):
    one.start(A, lease_s=600)
    waiter = two.start(A)
    fleet.is_down = True

    assert waiter.wait(far(fleet))
    assert waiter.mine == [A]
    assert two.pauses_s == []
    assert two.counters.snapshot().take_overs == 0


def test_blocks_that_overlap_do_not_wait_for_each_other(fleet, one, two):
    """Each computes its own keys before it waits."""
    left, right = one.start(A, B), two.start(B, C, A)
    assert (left.mine, right.mine) == ([A, B], [C])
    right.finish(values({C: b"c"}, 60))
    left.finish(values({A: b"a", B: b"b"}, 60))

    assert left.wait(far(fleet)) is right.wait(far(fleet)) is False
    assert right.found == {A: b"a", B: b"b", C: b"c"}


def test_a_thread_that_computes_does_not_poll_for_others(fleet, one, two):
    """Another thread polls for the keys that it waits for."""
    remote = one.start(A)
    busy = two.start(A, B)
    assert (busy.mine, [*busy.missing]) == ([B], [A])
    idle = two.start(A)
    remote.finish(values({A: b"value"}, 60))

    assert not idle.wait(far(fleet))
    assert idle.found == {A: b"value"}
    busy.finish(values({B: b"b"}, 60))
    assert not busy.wait(far(fleet))
    assert busy.found == {A: b"value", B: b"b"}


def test_one_thread_of_a_process_polls_for_all(fleet, one, two):
    """Threads that wait for the same key in another process do not multiply the calls."""
    one.start(A, lease_s=600)
    two.start(A)
    n_claims = fleet.n_claims
    for _ in range(5):
        two.start(A)

    assert fleet.n_claims == n_claims


def test_a_value_that_arrived_since_the_look_up_is_found(fleet, one, two):
    """Another thread or process may have computed it between the look-up and the flight."""
    one.start(A).finish(values({A: b"value"}, 60))

    for process in (one, two):
        flight = process.start(A)
        assert (flight.found, flight.mine, [*flight.missing]) == ({A: b"value"}, [], [])
    (held,) = two.tiers.local.get_many([A])
    assert held.value == b"value"


def test_a_key_whose_value_was_deleted_is_claimed_again(fleet, one, monkeypatch):
    """A damaged value is deleted when it is read."""
    fleet.values[A] = b"damaged"
    shared = one.tiers.shared
    monkeypatch.setattr(shared, "get_many", lambda keys: [fleet.values.pop(A, None) and None])
    flight = one.start(A)
    assert (flight.mine, [*flight.missing]) == ([], [A])

    assert flight.wait(far(fleet))


def test_a_flight_that_cannot_start_leaves_nothing_behind(fleet, one, monkeypatch):
    def fail(keys, token, lease_s):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fleet, "claim", fail)
        with pytest.raises(KeyboardInterrupt), Flight(one.flights, [A], 2.0) as flight:
            flight.take()

    assert one.start(A).mine == [A]


def test_compute_once_returns_computed_and_arrived_values(fleet, one, two):
    """And leaves out the keys that the computation leaves out."""
    remote = two.start(B)
    computed = []

    def compute(mine):
        computed.append(list(mine))
        remote.finish(values({B: b"b"}, 60))
        return values({A: b"a"}, 60)

    found = one.flights.compute_once([A, B, C], compute, lease_s=2.0, until_s=far(fleet))

    assert computed == [[A, C]]
    assert found == {A: b"a", B: b"b"}
    assert fleet.leases == {}
