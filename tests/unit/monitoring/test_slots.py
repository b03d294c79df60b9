"""What a worker writes to its slots, and when it starts the next one."""

from __future__ import annotations

from contextlib import suppress

import pytest

from risk_tasks.errors import TransportError
from risk_tasks.keys import SLOT_S
from risk_tasks.metrics import BlockOutcome
from risk_tasks.monitoring.recording import SlotWriter
from risk_tasks.store.telemetry import LimitWork, LookUps
from tests.unit.monitoring.records import block, json_check


class Server:
    """A store, and a clock that a test moves; the clock of the server is an hour ahead."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.is_down = False
        self.slots = {}
        #: of each write, its time and whether it was the first of its slot
        self.writes = []
        #: checks of limit sets by version, as the server adds them up
        self.matches = {}

    def clock(self) -> float:
        return self.at_s

    def now_s(self) -> float:
        return self.at_s + 3_600

    def write(self, number, worker, slot, new_matches, *, is_first) -> float:
        if self.is_down:
            raise TransportError
        for version, work in new_matches.items():
            self.matches[version] = self.matches.get(version, LimitWork()) + work
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


def test_a_slot_is_written_again_while_it_fills(server, writer):
    """Each write has the whole slot, so that a repeated write counts nothing twice."""
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


def test_the_next_slot_starts_by_the_clock_of_the_server(server, writer):
    """And holds no counts of the earlier one."""
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


def test_counts_of_a_failed_write_are_written_with_the_next_one(server, writer):
    """Even if the server was down for long."""
    server.is_down = True
    for at_s in (1.0, 90.0):
        server.at_s = at_s
        writer.count([block(n_checks=7)])
        with pytest.raises(TransportError):
            writer.write()
    server.is_down = False
    server.at_s = 91.0
    writer.write()

    slot = server.slots[FIRST, "w"]
    assert slot.lanes["normal"].n_checks == 14
    assert slot.covered_s == 91.0


def test_a_duplicate_counts_as_time_and_not_as_a_check(server, writer):
    """Its checks were counted with the first answer."""
    writer.count([block(outcome=BlockOutcome.DUPLICATE, total_s=None)])
    writer.write()

    (slot,) = server.slots.values()
    assert slot.busy_s > 0
    assert slot.lanes["normal"].n_checks == 0


def test_all_checks_of_a_failed_block_are_errors(server, writer):
    writer.count([block(outcome=BlockOutcome.FAILED, n_checks=10, n_errors=10)])
    writer.write()

    (slot,) = server.slots.values()
    assert (slot.lanes["normal"].n_checks, slot.lanes["normal"].n_errors) == (10, 10)


def test_a_json_check_has_no_queue_time(server, writer):
    """It has a count and a computing time."""
    writer.count([json_check()])
    writer.write()

    (slot,) = server.slots.values()
    work = slot.lanes["normal"]
    assert (work.n_checks, work.compute.n, work.queued.n, work.total.n) == (1, 1, 0, 0)


def test_an_idle_worker_writes_twice_in_a_slot(server, writer):
    """At its start, and at its end with the whole time."""
    server.writes.clear()
    for second in range(1, 4 * SLOT_S + 1):
        server.at_s = float(second)
        writer.write()

    one_slot = [(at, is_first) for at, is_first in server.writes if SLOT_S < at <= 2 * SLOT_S]
    assert one_slot == [(6.0, True), (10.0, False)]
    assert len(server.writes) == 4 * len(one_slot)
    assert [server.slots[FIRST + n, "w"].covered_s for n in range(4)] == [5.0] * 4


def test_counts_are_written_with_the_next_call(server, writer):
    """Immediately, although a slot without counts would wait."""
    server.at_s = 1.0
    writer.write()
    server.at_s = 2.0
    writer.write()
    assert server.slots[FIRST, "w"].covered_s == 1.0

    writer.count([block(n_checks=7)])
    writer.write()
    assert server.slots[FIRST, "w"].lanes["normal"].n_checks == 7
    assert server.slots[FIRST, "w"].covered_s == 2.0


def test_checks_of_limit_sets_are_added_up_once(server):
    """Over slots and failed writes; a slot has its own, and the server the sum."""
    so_far = {}
    writer = SlotWriter(server, "w", threads=2, matches=lambda: dict(so_far), clock=server.clock)
    writer.write()
    for at_s, n in ((1.0, 10), (2.0, 30), (SLOT_S + 1.0, 70), (SLOT_S + 2.0, 70)):
        server.at_s, server.is_down = at_s, at_s == 2.0
        so_far["v"] = LimitWork(n, {"a": n // 10, "never": 0})
        writer.count([block()])
        with suppress(TransportError):
            writer.write()

    assert server.matches == {"v": LimitWork(70, {"a": 7, "never": 0})}
    assert server.slots[FIRST, "w"].limits == {"v": LimitWork(70, {"a": 7, "never": 0})}
    assert server.slots[FIRST + 1, "w"].limits == {}
    assert server.matches["v"].unmatched == ["never"]


def test_a_set_without_checks_has_no_unmatched_limit():
    assert LimitWork(0, {"a": 0}).unmatched == []


def test_look_ups_are_written_like_counts(server):
    """Also those of a block that has not finished."""
    so_far = [LookUps()]
    writer = SlotWriter(server, "w", threads=2, look_ups=lambda: so_far[0], clock=server.clock)
    for at_s in (0.0, 1.0, 2.0):
        server.at_s = at_s
        so_far[0] = LookUps(n=at_s // 2, hits=0)
        writer.write()

    assert server.slots[FIRST, "w"].look_ups == LookUps(n=1.0, hits=0)
