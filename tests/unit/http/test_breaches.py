"""What a stream of changes says when nothing changes, when nothing can be heard, and when not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from risk_tasks.errors import ChangesTrimmedError, TransportError
from risk_tasks.http import breaches
from risk_tasks.http.breaches import Breaches
from risk_tasks.http.meters import Meters
from risk_tasks.http.problems import ProblemError
from risk_tasks.http.tokens import Caller
from risk_tasks.model.live import LimitChange, LimitStanding, LimitState

CHANGE = LimitChange(
    id="7-0",
    event_id="e",
    portfolio_id="a\nb",
    version=1,
    before=LimitState.OK,
    standing=LimitStanding(limit="l", measure="volatility", state=LimitState.HARD),
    at=datetime(2024, 5, 6, tzinfo=UTC),
)


class Played:
    """Changes as a test says: what each look finds, then the end by a trimmed stream."""

    begins_after = "3-1"
    lost: TransportError | None = None

    def __init__(self, *found: LimitChange | Exception | None) -> None:
        self._found = list(found)
        self.is_shut = False

    async def look(self, within_s: float) -> LimitChange | None:
        found = self._found.pop(0) if self._found else ChangesTrimmedError()
        if isinstance(found, Exception):
            raise found
        return found

    async def aclose(self) -> None:
        self.is_shut = True


class Risk:
    """A client whose changes are played."""

    def __init__(self, changes: Played) -> None:
        self.changes = changes

    def breaches(self, since: str) -> Played:
        return self.changes


def texts(changes: Played, heartbeat_s: float, first: LimitChange | None = None) -> list[str]:
    streams = Breaches(Risk(changes), Meters(), heartbeat_s=heartbeat_s)

    async def read() -> list[str]:
        return [text async for text in streams.events(changes, first)]

    head, *rest = asyncio.run(read())
    assert head == "retry: 1000\nid: 3-1\n\n"
    return rest


def ask(streams: Breaches) -> None:
    request = Request({"type": "http", "method": "GET", "headers": [], "query_string": b""})
    asyncio.run(streams.get(request, Caller("")))


def test_a_change_is_one_event_whatever_is_in_its_names():
    (text,) = texts(Played(), 60, CHANGE)

    assert text.startswith('id: 7-0\nevent: limit_change\ndata: {"id":"7-0","event_id":"e"')
    assert text.count("\n") == 4
    assert text.endswith("}\n\n")


def test_silence_is_told_when_it_has_lasted_and_not_before():
    assert texts(Played(None, None), 0) == [": nothing has changed\n\n"] * 3
    assert texts(Played(None, None), 60) == []


def test_a_stream_that_can_hear_nothing_does_not_say_that_nothing_has_changed():
    changes = Played(None, None)
    changes.lost = TransportError()

    assert texts(changes, 0) == []


def test_a_stream_ends_when_the_gateway_is_drained_and_none_begins():
    changes = Played(*[CHANGE] * 9)
    streams = Breaches(Risk(changes), Meters())

    async def read() -> list[str]:
        found = []
        async for text in streams.events(changes, CHANGE):
            found.append(text)
            if len(found) == 3:
                streams.drain()
        return found

    assert len(asyncio.run(read())) == 3
    with pytest.raises(ProblemError) as refused:
        ask(streams)
    assert refused.value.code == "draining"


def test_what_cannot_be_read_from_is_told_and_holds_nothing():
    changes = Played(ChangesTrimmedError())
    meters = Meters()

    with pytest.raises(ChangesTrimmedError):
        ask(Breaches(Risk(changes), meters))

    assert changes.is_shut
    assert meters.registry.get_sample_value("risk_tasks_http_streams") == 0


def test_a_stream_that_hears_nothing_from_the_beginning_does_not_begin():
    changes = Played(None)
    changes.lost = TransportError()

    with pytest.raises(TransportError):
        ask(Breaches(Risk(changes), Meters()))

    assert changes.is_shut


def test_there_are_so_many_streams_and_no_more(monkeypatch):
    monkeypatch.setattr(breaches, "MOST_STREAMS", 2)
    streams = Breaches(Risk(Played(None, None, None)), Meters())
    ask(streams)
    ask(streams)

    with pytest.raises(ProblemError) as refused:
        ask(streams)
    assert (refused.value.status, refused.value.code) == (503, "busy")
