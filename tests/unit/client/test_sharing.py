"""Calls of several threads that share a request, over a line that answers with what was asked."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.coalescing import SentCall, Turns
from risk_tasks.client.options import read_call
from risk_tasks.errors import (
    DeadLetterError,
    QueueFullError,
    ReportTimeoutError,
    RiskTasksError,
    TransportError,
)
from risk_tasks.model.limits import LimitSet
from risk_tasks.wire.request import Detail
from tests.unit.client.gathering import Counted
from tests.unit.client.support import request_of, row_of, rows_of

CALL = read_call(Detail.SUMMARY, 30.0)


@dataclass
class Rows:
    """What a caller gets: its portfolios, as they were asked for."""

    found: list

    @classmethod
    def of(cls, ids, answers):
        """Take the requests for answers."""
        return cls([row for answer in answers for row in rows_of(answer)])

    def rows(self, start, stop):
        """Return some of them."""
        return Rows(self.found[start:stop])


def answered():
    """Return the future of an answer that is there."""
    future = Future()
    future.set_result(b"")
    return future


class EchoLine:
    """Answers by what was asked; `fault` befalls what is sent together."""

    def __init__(self):
        self.turns = Turns()
        self.alone, self.together, self.forgotten = [], [], []
        self.fault = None
        self.futures = []

    def ask(self, parts, call, told=None):
        """Answer one caller."""
        self.alone.append(parts[0][0])
        if told:
            told()
        return [parts[0][0]]

    def send(self, parts, call, *, patient):
        """Answer several at once, where there are answers."""
        assert not patient
        self.together.append(parts[0][0])
        if isinstance(self.fault, TransportError):
            raise self.fault
        return SentCall(CheckId("call", 1), 0.0, self.futures or [answered()], [])

    def read(self, parts, call, sent, found):
        """Read what was sent."""
        if self.fault:
            raise self.fault
        return [request for request, _ in parts]

    def forget(self, sent):
        """Remember whose answer is not awaited."""
        self.forgotten.append(sent)


@contextmanager
def company(sharing, requests, calls=None):
    """Let a thread ask for each of `requests` while another call is being prepared."""

    def ask(request, call):
        with sharing.preparing() as calling:
            own = replace(request, terms=call.terms)
            return calling.ask([(own, call.stamp)], call, Rows.of).found

    calls = calls or [CALL] * len(requests)
    with ThreadPoolExecutor(max(1, len(requests))) as pool:
        with sharing.preparing():
            asked = [pool.submit(ask, *one) for one in zip(requests, calls, strict=True)]
            for _ in asked:
                assert sharing.n_taken.acquire(timeout=20)
        yield asked
    sharing.close()


def books(*sizes):
    """Return a request for each size; their ids are the same."""
    return [request_of([row_of(place, size) for place in range(size)]) for size in sizes]


def test_nobody_waits_for_a_large_call_that_is_being_prepared():
    """Small ones go meanwhile, each as it comes."""
    line = EchoLine()
    sharing = Counted(line)

    with sharing.preparing(12_501), sharing.preparing() as calling:
        (book,) = books(2)
        calling.ask([(replace(book, terms=CALL.terms), CALL.stamp)], CALL, Rows.of)

    assert [len(request) for request in line.alone] == [2]


def test_an_answer_in_several_blocks_is_told_once_all_are_there():
    """In whatever order they come."""
    line = EchoLine()
    line.futures = [Future(), Future(), Future()]

    with company(Counted(line), books(1, 2)) as asked:
        for future in reversed(line.futures):
            assert not any(one.done() for one in asked)
            future.set_result(b"")
        assert [one.result(20) for one in asked] == [rows_of(book) for book in books(1, 2)]


def test_calls_that_gather_go_as_one_and_each_has_its_rows():
    """When what they waited for is over."""
    line = EchoLine()

    with company(Counted(line), books(1, 3, 2)) as asked:
        assert [one.result(20) for one in asked] == [rows_of(book) for book in books(1, 3, 2)]

    assert [len(request) for request in line.together] == [6]
    assert line.alone == []


def test_a_lone_call_goes_at_once_by_itself():
    """No thread is started for it; the next one does not wait for it."""
    line = EchoLine()
    sharing = Counted(line)
    for book in books(2, 3):
        with sharing.preparing() as calling:
            found = calling.ask([(replace(book, terms=CALL.terms), CALL.stamp)], CALL, Rows.of)
        assert found.found == rows_of(book)

    assert len(line.alone) == 2
    assert sharing._thread is None


def test_a_call_that_fails_as_it_is_prepared_holds_nobody_up():
    """Those that waited for it go."""
    line = EchoLine()
    sharing = Counted(line)
    with pytest.raises(KeyError), sharing.preparing():
        raise KeyError

    with company(sharing, books(1)) as asked:
        assert asked[0].result(20) == rows_of(books(1)[0])


OTHERS = {
    "terms": read_call(Detail.SUMMARY, 30.0, measures=["volatility"]),
    "limits": read_call(Detail.SUMMARY, 30.0, limits=LimitSet("own", [])),
    "a market": read_call(Detail.SUMMARY, 30.0, market="other"),
    "a lane": read_call(Detail.SUMMARY, 30.0, priority="batch"),
    "a time-out": read_call(Detail.SUMMARY, 31.0),
    "detail": read_call(Detail.REPORTS, 30.0),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_calls_of_another_kind_do_not_share(other):
    """Each kind goes by itself."""
    line = EchoLine()

    with company(Counted(line), books(1, 2, 3), [CALL, other, CALL]) as asked:
        assert [one.result(20) for one in asked] == [rows_of(book) for book in books(1, 2, 3)]

    assert sorted(len(request) for request in line.together) == [2, 4]


def test_what_is_urgent_or_large_or_empty_goes_by_itself():
    """And does not wait for others."""
    line = EchoLine()
    urgent = read_call(Detail.SUMMARY, 30.0, priority="critical")
    large = request_of([row_of(0, 1)] * 6_300)
    sharing = Counted(line)

    with sharing.preparing():
        for request, call in ((books(1)[0], urgent), (large, CALL), (books(0)[0], CALL)):
            with sharing.preparing() as calling:
                own = replace(request, terms=call.terms)
                calling.ask([(own, call.stamp)], call, Rows.of)

    assert [len(request) for request in line.alone] == [1, 6_300, 0]
    assert line.together == []


FAULTS = {
    "no room": QueueFullError("Full.", depth=1, capacity=1, retry_after_s=1.0),
    "a dead letter": DeadLetterError("Dead.", check_id="call.1"),
    "a worker's failure": RiskTasksError("The worker failed."),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_what_may_be_due_to_another_caller_is_tried_by_each_alone(fault):
    """So that nobody's error is anybody else's."""
    line = EchoLine()
    line.fault = fault

    with company(Counted(line), books(1, 2)) as asked:
        assert [one.result(20) for one in asked] == [rows_of(book) for book in books(1, 2)]

    assert len(line.together) == 1
    assert sorted(len(request) for request in line.alone) == [1, 2]


def test_what_befalls_all_is_told_to_all():
    """A server that is down is down for each; an answer that says so is late for each."""
    for fault in (TransportError("Down."), ReportTimeoutError("Late.", check_id="call.1")):
        line = EchoLine()
        line.fault = fault
        with company(Counted(line), books(1, 2)) as asked:
            errors = [one.exception(20) for one in asked]
        assert [(type(one), one.message) for one in errors] == [(type(fault), fault.message)] * 2
        assert line.alone == []


def test_each_waits_in_its_own_time_and_is_told_where_its_rows_are():
    """When the last has gone nobody awaits the answer any more."""
    line = EchoLine()
    line.futures = [Future()]
    soon = [read_call(Detail.SUMMARY, 0.2)] * 2

    with company(Counted(line), books(2, 3), soon) as asked:
        errors = [one.exception(20) for one in asked]

    assert {type(one) for one in errors} == {ReportTimeoutError}
    assert sorted(one.check_id for one in errors) in (
        ["call.1:0-2", "call.1:2-5"],
        ["call.1:0-3", "call.1:3-5"],
    )
    assert len({id(sent) for sent in line.forgotten}) == 1


def test_closing_tells_those_who_gather_and_those_who_come_later():
    """Nothing more is gathered."""
    sharing = Counted(EchoLine())
    sharing.close()

    with company(sharing, books(1)) as asked:
        assert isinstance(asked[0].exception(20), TransportError)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 40))
def test_everyone_is_answered_once_with_its_own_rows(sizes, bound):
    """Whatever they ask for, and however few may go together."""
    line = EchoLine()

    with company(Counted(line, bound), books(*sizes)) as asked:
        assert [one.result(20) for one in asked] == [rows_of(book) for book in books(*sizes)]

    assert sum(map(len, [*line.alone, *line.together])) == sum(sizes)
