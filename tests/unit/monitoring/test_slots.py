"""What a worker writes of its slots, and when it begins the next one."""

from __future__ import annotations

import pytest

from risk_tasks.errors import TransportError
from risk_tasks.keys import SLOT_S
from risk_tasks.metrics import Outcome
from risk_tasks.monitoring.slots import SlotWriter
from risk_tasks.store.telemetry import LookUps
from tests.unit.monitoring.records import block, json_check


class Server:
    """A store and a clock that a test moves by hand; the server's clock is an hour ahead."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.away = False
        self.slots = {}
        #: of each write, when it came and whether it was the first of its slot
        self.writes = []

    def clock(self) -> float:
        return self.at_s

    def now_s(self) -> float:
        return self.at_s + 3_600

    def write(self, number, worker, slot, *, is_first) -> float:
        if self.away:
            raise TransportError
        self.writes.append((self.at_s, is_first))
        self.slots[number, worker] = slot
        return self.now_s()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def writer(server: Server) -> SlotWriter:
    writer = SlotWriter(server, "w", threads=2, clock=server.clock)
    writer.write()
    return writer


FIRST = 3_600 // SLOT_S


def test_a_slot_is_written_again_as_it_fills(server, writer):
    """Its last state is the whole of it: a write that is repeated counts nothing twice."""
    for at_s in (1.0, 2.0):
        server.at_s = at_s
        writer.count([block(n_checks=10, n_errors=3), block(n_checks=5)])
        writer.write()
    writer.write()

    (slot,) = server.slots.values()
    assert (slot.threads, slot.covered_s) == (2, 2.0)
    assert slot.busy_s == pytest.approx(4 * 0.003)
    work = slot.lanes["normal"]
    assert (work.n_blocks, work.n_checks, work.n_errors) == (4, 30, 6)
    assert (work.queued.n, work.compute.n, work.total.n) == (30, 30, 30)
    assert work.total.sum_s == pytest.approx(30 * 0.005)


def test_the_next_slot_begins_where_the_servers_clock_is(server, writer):
    """And holds nothing of the one before."""
    server.at_s = SLOT_S - 1.0
    writer.count([block(lane="batch")])
    writer.write()
    server.at_s = SLOT_S + 0.5
    writer.count([block(lane="critical")])
    writer.write()
    server.at_s = SLOT_S + 1.5
    writer.write()

    before, after = server.slots[FIRST, "w"], server.slots[FIRST + 1, "w"]
    assert set(before.lanes) == {"batch", "critical"}
    assert (before.covered_s, after.covered_s) == (SLOT_S + 0.5, 1.0)
    assert (after.busy_s, after.lanes) == (0.0, {})


def test_what_could_not_be_written_goes_with_the_next_write(server, writer):
    """However long the server was away."""
    server.away = True
    for at_s in (1.0, 90.0):
        server.at_s = at_s
        writer.count([block(n_checks=7)])
        with pytest.raises(TransportError):
            writer.write()
    server.away = False
    server.at_s = 91.0
    writer.write()

    slot = server.slots[FIRST, "w"]
    assert slot.lanes["normal"].n_checks == 14
    assert slot.covered_s == 91.0


def test_a_duplicate_is_time_but_no_check(server, writer):
    """It was counted where its answer came first."""
    writer.count([block(outcome=Outcome.DUPLICATE, total_s=None)])
    writer.write()

    (slot,) = server.slots.values()
    assert slot.busy_s > 0
    assert slot.lanes["normal"].n_checks == 0


def test_a_failed_block_is_checks_with_errors(server, writer):
    writer.count([block(outcome=Outcome.FAILED, n_checks=10, n_errors=10)])
    writer.write()

    (slot,) = server.slots.values()
    assert (slot.lanes["normal"].n_checks, slot.lanes["normal"].n_errors) == (10, 10)


def test_a_check_of_the_json_door_has_no_time_of_waiting(server, writer):
    """It is counted and computed all the same."""
    writer.count([json_check()])
    writer.write()

    (slot,) = server.slots.values()
    work = slot.lanes["normal"]
    assert (work.n_checks, work.compute.n, work.queued.n, work.total.n) == (1, 1, 0, 0)


def test_a_worker_that_does_nothing_writes_seldom(server, writer):
    """Its time is told as a slot begins, and whole as it ends."""
    server.writes.clear()
    for second in range(1, 4 * SLOT_S + 1):
        server.at_s = float(second)
        writer.write()

    begins = [(at, is_first) for at, is_first in server.writes if SLOT_S < at <= 2 * SLOT_S]
    assert begins == [(6.0, True), (10.0, False)]
    assert len(server.writes) == 4 * len(begins)
    assert [server.slots[FIRST + n, "w"].covered_s for n in range(4)] == [5.0] * 4


def test_what_was_counted_is_written_with_the_next_call(server, writer):
    """However soon after the last one: only nothing may wait."""
    server.at_s = 1.0
    writer.write()
    server.at_s = 2.0
    writer.write()
    assert server.slots[FIRST, "w"].covered_s == 1.0

    writer.count([block(n_checks=7)])
    writer.write()
    assert server.slots[FIRST, "w"].lanes["normal"].n_checks == 7
    assert server.slots[FIRST, "w"].covered_s == 2.0


def test_look_ups_are_news_too(server):
    """Those of a block that has not ended yet."""
    so_far = [LookUps()]
    writer = SlotWriter(server, "w", threads=2, look_ups=lambda: so_far[0], clock=server.clock)
    for at_s in (0.0, 1.0, 2.0):
        server.at_s = at_s
        so_far[0] = LookUps(n=at_s // 2, hits=0)
        writer.write()

    assert server.slots[FIRST, "w"].look_ups == LookUps(n=1.0, hits=0)
