"""Calls of several threads that share a message, over a connection that echoes requests."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.connection import SentCall
from risk_tasks.client.options import read_options
from risk_tasks.client.partitioning import Partition
from risk_tasks.errors import (
    DeadLetterError,
    DecodeError,
    QueueFullError,
    QuotaExceededError,
    ReportTimeoutError,
    RiskTasksError,
    TransportError,
)
from risk_tasks.model.limits import LimitSet
from risk_tasks.wire.request import Detail
from tests.unit.client.gathering_coalescer import GatheringCoalescer
from tests.unit.client.support import request_of, row_of, rows_of

CALL = read_options(Detail.SUMMARY, 30.0)
BASE = f"{'0' * 32}.7"


def decode(ids, answers, order):
    """Return the rows of the requests that stand for answers."""
    return [row for answer in answers for row in rows_of(answer)]


class EchoConnection:
    """Answers a request with itself; `send_error` and `answer_error` fail shared messages."""

    def __init__(self):
        self.alone, self.shared, self.forgotten = [], [], []
        self.send_error = self.answer_error = None
        self.futures = []

    def cpu_lock(self, n_positions):
        """Lock nothing."""
        return nullcontext()

    def send(self, request, options, limit_sets=None, *, wait_for_room=True, keep_order=True):
        """Send the request of one caller, or a message of several."""
        (self.shared if keep_order else self.alone).append(request)
        assert wait_for_room is not keep_order
        if keep_order and self.send_error:
            raise self.send_error
        futures = self.futures or [done()]
        return SentCall(CheckId(BASE, 1), request, options, Partition([], None), futures, 0.0)

    def receive(self, sent, decode):
        """Answer one caller."""
        return decode(sent.request.portfolio_ids, [sent.request], None)

    def request(self, request, limit_sets, options, decode):
        """Send the request of one caller, and answer it."""
        return self.receive(self.send(request, options, limit_sets, keep_order=False), decode)

    def read(self, sent, payloads):
        """Answer a message of several."""
        if self.answer_error:
            raise self.answer_error
        return [sent.request]

    def forget(self, sent):
        """Remember a message whose answer is no longer waited for."""
        self.forgotten.append(sent)


def done():
    """Return the future of an answer that has arrived."""
    future = Future()
    future.set_result(b"")
    return future


def ask(coalescer, request, options=CALL, n_positions=0):
    """Return the rows that the caller of one request gets."""
    own = replace(request, terms=options.terms)
    return coalescer.request(lambda: (own, None), options, decode, n_positions)


@contextmanager
def gathered(coalescer, requests, options=None):
    """Call with each of `requests` in a thread of its own, while another call is prepared."""
    options = options or [CALL] * len(requests)
    with ThreadPoolExecutor(max(1, len(requests))) as pool:
        coalescer.hold()
        calls = [pool.submit(ask, coalescer, *one) for one in zip(requests, options, strict=True)]
        coalescer.release(len(calls))
        yield calls
    coalescer.close()


def books(*sizes):
    """Return a request for each size; their ids are the same."""
    return [request_of([row_of(place, size) for place in range(size)]) for size in sizes]


def test_a_call_does_not_wait_while_a_large_one_is_prepared():
    connection = EchoConnection()
    coalescer = GatheringCoalescer(connection)
    (book,) = books(2)

    def prepare():
        ask(coalescer, book)
        return replace(books(1)[0], terms=CALL.terms), None

    coalescer.request(prepare, CALL, decode, 12_501)

    assert [len(request) for request in connection.alone] == [2, 1]


def test_a_message_in_several_blocks_is_decoded_when_all_are_answered():
    connection = EchoConnection()
    connection.futures = [Future(), Future(), Future()]

    with gathered(GatheringCoalescer(connection), books(1, 2)) as calls:
        for future in reversed(connection.futures):
            assert not any(call.done() for call in calls)
            future.set_result(b"")
        assert [call.result(20) for call in calls] == [rows_of(book) for book in books(1, 2)]


def test_gathered_calls_go_as_one_message_and_each_gets_its_rows():
    connection = EchoConnection()

    with gathered(GatheringCoalescer(connection), books(1, 3, 2)) as calls:
        assert [call.result(20) for call in calls] == [rows_of(book) for book in books(1, 3, 2)]

    assert [len(request) for request in connection.shared] == [6]
    assert connection.alone == []


def test_a_single_call_goes_at_once_without_another_thread():
    connection = EchoConnection()
    coalescer = GatheringCoalescer(connection)

    for book in books(2, 3):
        assert ask(coalescer, book) == rows_of(book)

    assert len(connection.alone) == 2
    assert coalescer._thread is None


def test_a_call_that_fails_while_it_is_prepared_does_not_delay_others():
    coalescer = GatheringCoalescer(EchoConnection())

    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        coalescer.request(fail, CALL, decode, 0)
    with gathered(coalescer, books(1)) as calls:
        assert calls[0].result(20) == rows_of(books(1)[0])


OTHERS = {
    "terms": read_options(Detail.SUMMARY, 30.0, measures=["volatility"]),
    "limits": read_options(Detail.SUMMARY, 30.0, limits=LimitSet("own", [])),
    "a market": read_options(Detail.SUMMARY, 30.0, market="other"),
    "a lane": read_options(Detail.SUMMARY, 30.0, priority="batch"),
    "a timeout": read_options(Detail.SUMMARY, 31.0),
    "detail": read_options(Detail.REPORTS, 30.0),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_calls_with_other_options_do_not_share_a_message(other):
    connection = EchoConnection()

    with gathered(GatheringCoalescer(connection), books(1, 2, 3), [CALL, other, CALL]) as calls:
        assert [call.result(20) for call in calls] == [rows_of(book) for book in books(1, 2, 3)]

    assert sorted(len(request) for request in connection.shared) == [2, 4]


def test_critical_large_and_empty_calls_go_alone_and_at_once():
    connection = EchoConnection()
    critical = read_options(Detail.SUMMARY, 30.0, priority="critical")
    large = request_of([row_of(0, 1)] * 6_300)
    coalescer = GatheringCoalescer(connection)

    coalescer.hold()
    ask(coalescer, books(1)[0], critical)
    ask(coalescer, large)
    ask(coalescer, books(0)[0])

    assert [len(request) for request in connection.alone] == [1, 6_300, 0]
    assert connection.shared == []


SEND_ERRORS = {
    "a full lane": QueueFullError("Full.", depth=1, capacity=1, retry_after_s=1.0),
    "an exceeded quota": QuotaExceededError("Exceeded.", checks_per_s=1.0, retry_after_s=1.0),
    "an error of merging": UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate"),
}
ANSWER_ERRORS = {
    "a dead letter": DeadLetterError("Dead.", check_id=f"{BASE}.1"),
    "a failure of a worker": RiskTasksError("The worker failed."),
}


@pytest.mark.parametrize("error", SEND_ERRORS.values(), ids=SEND_ERRORS.keys())
def test_each_call_is_sent_alone_after_an_error_of_sending(error):
    connection = EchoConnection()
    connection.send_error = error

    with gathered(GatheringCoalescer(connection), books(1, 2)) as calls:
        assert [call.result(20) for call in calls] == [rows_of(book) for book in books(1, 2)]

    assert len(connection.shared) == 1
    assert sorted(len(request) for request in connection.alone) == [1, 2]


@pytest.mark.parametrize("error", ANSWER_ERRORS.values(), ids=ANSWER_ERRORS.keys())
def test_each_call_is_sent_alone_after_an_answer_that_another_may_have_caused(error):
    connection = EchoConnection()
    connection.answer_error = error

    with gathered(GatheringCoalescer(connection), books(1, 2)) as calls:
        assert [call.result(20) for call in calls] == [rows_of(book) for book in books(1, 2)]

    assert len(connection.shared) == 1
    assert sorted(len(request) for request in connection.alone) == [1, 2]


def test_a_message_of_one_call_is_not_sent_again_after_its_answer():
    connection = EchoConnection()
    connection.answer_error = ANSWER_ERRORS["a dead letter"]

    with gathered(GatheringCoalescer(connection), books(2)) as calls:
        assert isinstance(calls[0].exception(20), DeadLetterError)

    assert connection.alone == []


def test_an_error_of_the_whole_message_is_the_error_of_each_call():
    for error in (TransportError("Down."), DecodeError("Another version.")):
        connection = EchoConnection()
        connection.answer_error = error
        with gathered(GatheringCoalescer(connection), books(1, 2)) as calls:
            assert [call.exception(20) for call in calls] == [error] * 2
        assert connection.alone == []


def test_a_timeout_of_the_message_names_the_rows_of_each_call():
    connection = EchoConnection()
    connection.answer_error = ReportTimeoutError("Late.", check_id=f"{BASE}.1")

    with gathered(GatheringCoalescer(connection), books(2, 2)) as calls:
        errors = [call.exception(20) for call in calls]

    assert {error.message for error in errors} == {"Late."}
    assert sorted(error.check_id for error in errors) == [f"{BASE}.1:0-2", f"{BASE}.1:2-4"]


def test_each_call_has_its_own_timeout_and_its_rows_in_the_id():
    """After the last timeout the answer is no longer waited for."""
    connection = EchoConnection()
    connection.futures = [Future()]
    soon = [read_options(Detail.SUMMARY, 0.2)] * 2

    with gathered(GatheringCoalescer(connection), books(2, 2), soon) as calls:
        errors = [call.exception(20) for call in calls]

    assert {type(error) for error in errors} == {ReportTimeoutError}
    assert sorted(error.check_id for error in errors) == [f"{BASE}.1:0-2", f"{BASE}.1:2-4"]
    assert len({id(sent) for sent in connection.forgotten}) == 1


def test_after_close_no_call_gathers():
    coalescer = GatheringCoalescer(EchoConnection())
    coalescer.close()

    with gathered(coalescer, books(1)) as calls:
        assert isinstance(calls[0].exception(20), TransportError)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 40))
def test_each_call_is_answered_once_with_its_own_rows(sizes, max_checks):
    """For any sizes and any bound of a message."""
    connection = EchoConnection()

    with gathered(GatheringCoalescer(connection, max_checks), books(*sizes)) as calls:
        assert [call.result(20) for call in calls] == [rows_of(book) for book in books(*sizes)]

    assert sum(map(len, [*connection.alone, *connection.shared])) == sum(sizes)
