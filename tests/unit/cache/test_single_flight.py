"""Who computes what, step by step: processes over leases in a dict and a clock that stands."""

from __future__ import annotations

import pytest

from risk_tasks.cache import Waited
from tests.unit.cache.support import Clock, Fleet, Process

A, B, C = b"a", b"b", b"c"


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


def test_each_key_is_led_once(one, two):
    """In the fleet, and by one thread of a process."""
    first, beside, away = one.lead(A, B), one.lead(B, C), two.lead(C, A)

    assert (first.mine, first.others) == ([A, B], [])
    assert (beside.mine, beside.others) == ([C], [B])
    assert (away.mine, sorted(away.others)) == ([], [A, C])


def test_a_key_that_is_asked_for_twice_is_led_once(one):
    assert one.lead(A, A).mine == [A]


@pytest.mark.parametrize("where", ["beside", "away"])
def test_who_waits_gets_what_was_landed(where, fleet, one, two):
    leader = one.lead(A)
    waiter = (one if where == "beside" else two).lead(A)
    leader.land({A: b"value"}, 60, cost_s=0.5)

    assert waiter.wait(far(fleet)) is Waited.ARRIVED
    assert waiter.found == leader.found == {A: b"value"}
    assert fleet.leases == {}
    counts = (one if where == "beside" else two).counters.snapshot()
    assert (counts.waits, counts.arrivals, counts.saved_s) == (1, 1, 0.5)
    assert two.pauses_s == []


@pytest.mark.parametrize("where", ["beside", "away"])
def test_who_waits_takes_over_what_was_let_go(where, fleet, one, two):
    """By a computation that raised."""
    waiting = one if where == "beside" else two
    leader = one.lead(A)
    waiter = waiting.lead(A)
    with pytest.raises(ZeroDivisionError), leader:
        _ = 1 / 0

    assert waiter.wait(far(fleet)) is Waited.TAKEN_OVER
    assert (waiter.mine, waiter.others) == ([A], [])
    assert waiting.counters.snapshot().take_overs == 1


def test_what_was_not_computed_is_let_go(fleet, one, two):
    leader, waiter = one.lead(A, B), two.lead(A, B)
    leader.land({A: b"value"}, 60)

    assert leader.mine == []
    assert waiter.wait(far(fleet)) is Waited.TAKEN_OVER
    assert (waiter.found, waiter.mine) == ({A: b"value"}, [B])


def test_the_keys_of_a_process_that_died_are_free_after_its_lease(fleet, one, two):
    one.lead(A, lease_s=3.0)  # and nothing more is heard of it
    began_s = fleet.clock()
    waiter = two.lead(A)

    assert waiter.wait(far(fleet)) is Waited.TAKEN_OVER
    assert 3.0 <= fleet.clock() - began_s <= 3.0 + 0.05
    assert two.counters.snapshot().take_overs == 1


def test_pauses_grow_with_the_time_that_was_waited(fleet, one, two):
    """A tenth of it: an answer is seen soon after it came, and the server is asked seldom."""
    one.lead(A, lease_s=3.0)
    two.lead(A).wait(far(fleet))

    assert two.pauses_s[0] == 0.002
    assert two.pauses_s == sorted(two.pauses_s)
    assert two.pauses_s[-1] == 0.05
    assert len(two.pauses_s) < 120


@pytest.mark.parametrize("where", ["beside", "away"])
def test_a_deadline_that_passes_is_told(where, fleet, one, two):
    waiting = one if where == "beside" else two
    one.lead(A, lease_s=600)
    waiter = waiting.lead(A, B)
    waiter.land({B: b"value"}, 60)
    until_s = fleet.clock() + (0 if where == "beside" else 7)

    assert waiter.wait(until_s) is Waited.LATE
    assert (waiter.late, waiter.others, waiter.found) == ([A], [], {B: b"value"})
    assert fleet.clock() == until_s
    assert waiting.counters.snapshot().late == 1


def test_who_is_late_leaves_its_seat_to_another(fleet, one, two):
    """Or a process that was late once would never ask again."""
    one.lead(A, lease_s=600)
    late, next_one = two.lead(A), two.lead(A)
    late.wait(fleet.clock())

    fleet.values[A] = b"value"
    assert next_one.wait(far(fleet)) is Waited.ARRIVED


def test_without_a_server_processes_do_not_wait_for_each_other(fleet, one, two):
    """Threads of one process do: that needs no server."""
    fleet.is_down = True
    leader, other, beside = one.lead(A), two.lead(A), one.lead(A)

    assert leader.mine == other.mine == [A]
    assert beside.others == [A]


def test_without_a_server_a_process_computes_once(fleet, one):
    """Who missed before another landed finds it in memory."""
    fleet.is_down = True
    one.lead(A).land({A: b"value"}, 60)

    turn = one.lead(A)
    assert (turn.found, turn.mine) == ({A: b"value"}, [])


def test_a_value_that_no_tier_keeps_reaches_who_waits_beside(fleet):
    """Too large for memory, and no server: it is handed over."""
    process = Process(fleet, local_bytes=0)
    fleet.is_down = True
    leader, waiter = process.lead(A), process.lead(A)
    leader.land({A: b"value"}, 60)

    assert waiter.wait(far(fleet)) is Waited.ARRIVED
    assert waiter.found == {A: b"value"}


def test_who_waits_while_the_server_goes_computes(fleet, one, two):
    one.lead(A, lease_s=600)
    waiter = two.lead(A)
    fleet.is_down = True

    assert waiter.wait(far(fleet)) is Waited.TAKEN_OVER
    assert waiter.mine == [A]
    assert two.pauses_s == []
    assert two.counters.snapshot().take_overs == 0


def test_blocks_that_overlap_do_not_wait_for_each_other(fleet, one, two):
    """Each computes its own before it waits."""
    left, right = one.lead(A, B), two.lead(B, C, A)
    assert (left.mine, right.mine) == ([A, B], [C])
    right.land({C: b"c"}, 60)
    left.land({A: b"a", B: b"b"}, 60)

    assert left.wait(far(fleet)) is right.wait(far(fleet)) is Waited.ARRIVED
    assert right.found == {A: b"a", B: b"b", C: b"c"}


def test_nobody_waits_for_one_who_computes_to_ask_the_server(fleet, one, two):
    """What a block waits for is another thread's to ask about while the block computes."""
    remote = one.lead(A)
    busy = two.lead(A, B)
    assert (busy.mine, busy.others) == ([B], [A])
    idle = two.lead(A)
    remote.land({A: b"value"}, 60)

    assert idle.wait(far(fleet)) is Waited.ARRIVED
    busy.land({B: b"b"}, 60)
    assert busy.wait(far(fleet)) is Waited.ARRIVED


def test_a_value_that_came_meanwhile_is_taken(fleet, one, two):
    """Between a miss and its turn somebody may have computed it: here, or elsewhere."""
    one.lead(A).land({A: b"value"}, 60)

    for process in (one, two):
        turn = process.lead(A)
        assert (turn.found, turn.mine, turn.others) == ({A: b"value"}, [], [])
    assert two.tiers.local.get_many([A]) == [b"value"]


def test_a_value_that_is_gone_once_more_is_looked_at_again(fleet, one, monkeypatch):
    """As a damaged one is, which is deleted where it is read."""
    fleet.values[A] = b"damaged"
    shared = one.tiers.shared
    monkeypatch.setattr(shared, "look_up", lambda keys: [fleet.values.pop(A, None) and None])
    turn = one.lead(A)
    assert (turn.mine, turn.others) == ([], [A])

    assert turn.wait(far(fleet)) is Waited.TAKEN_OVER


def test_a_turn_that_cannot_begin_leaves_nothing_behind(fleet, one, monkeypatch):
    def fail(keys, token, lease_s):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fleet, "claim", fail)
        with pytest.raises(KeyboardInterrupt):
            one.lead(A)

    assert one.lead(A).mine == [A]
