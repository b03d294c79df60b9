"""What a stream of changes says when nothing changes, when nothing can be heard, and when not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from risk_tasks.errors import (
    ChangesTrimmedError,
    InvalidSettingsError,
    RequestError,
    TransportError,
)
from risk_tasks.http import breaches
from risk_tasks.http.breaches import Breaches
from risk_tasks.http.event_sources import EventSource, EveryChange, SharedChanges
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

        self.done_places: list[str] = []

    async def look(self, within_s: float) -> LimitChange | None:
        found = self._found.pop(0) if self._found else ChangesTrimmedError()
        if isinstance(found, Exception):
            raise found
        return found

    async def batch(self, within_s: float) -> list[LimitChange]:
        first = await self.look(within_s)
        found = [first] if first is not None else []
        while found and self._found and isinstance(self._found[0], LimitChange):
            found.append(self._found.pop(0))
        return found

    async def done(self, places: Sequence[str]) -> None:
        self.done_places += places

    async def aclose(self) -> None:
        self.is_shut = True


class Risk:
    """A client whose changes are played."""

    def __init__(self, changes: Played) -> None:
        self.changes = changes

    def breaches(self, since: str, **group: str) -> Played:
        return self.changes


def said(source: EventSource, heartbeat_s: float) -> tuple[str, list[str]]:
    """Return what a stream begins with, and what follows."""
    streams = Breaches(Risk(source.changes), Meters(), heartbeat_s=heartbeat_s)

    async def read() -> list[str]:
        return [text async for text in streams.events(source)]

    head, *rest = asyncio.run(read())
    return head, rest


def texts(changes: Played, heartbeat_s: float) -> list[str]:
    head, rest = said(EveryChange(changes), heartbeat_s)
    assert head == "retry: 1000\nid: 3-1\n\n"
    return rest


def ask(streams: Breaches, query: str = "", last: str = "", method: str = "GET") -> None:
    headers = [(b"last-event-id", last.encode())] if last else []
    told = {"type": "http", "method": method, "headers": headers, "query_string": query.encode()}
    asyncio.run(streams.get(Request(told), Caller("")))


def test_a_change_is_one_event_whatever_is_in_its_names():
    (text,) = texts(Played(CHANGE), 60)

    assert text.startswith('id: 7-0\nevent: limit_change\ndata: {"id":"7-0","event_id":"e"')
    assert text.count("\n") == 4
    assert text.endswith("}\n\n")


def test_silence_is_told_when_it_has_lasted_and_not_before():
    assert texts(Played(None, None), 0) == [": nothing has changed\n\n"] * 2
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
        async for text in streams.events(EveryChange(changes)):
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


NEXT = replace(CHANGE, id="8-2")


def shared(*found: LimitChange | Exception | None, heartbeat_s: float = 60) -> list[str]:
    head, rest = said(SharedChanges(Played(*found), ()), heartbeat_s)
    # An id would be sent back as a share that is done.
    assert head == "retry: 50\n\n"
    return rest


def test_a_share_is_said_at_once_and_only_its_end_names_all_of_it():
    (text,) = shared(None, CHANGE, NEXT, None, CHANGE)

    first, last, rest = text.split("\n\n")
    assert first.startswith('event: limit_change\ndata: {"id":"7-0"')
    assert last.startswith('id: 7-0,8-2\nevent: limit_change\ndata: {"id":"8-2"')
    assert rest == ""


def test_who_waits_for_a_share_hears_that_the_stream_lives():
    comment, text = shared(None, CHANGE, heartbeat_s=0)

    assert comment == ": nothing has changed\n\n"
    assert text.startswith("id: 7-0\n")


def test_changes_of_a_group_that_are_gone_are_told_where_nobody_would_tell_them_again():
    (text,) = shared(None, ChangesTrimmedError())

    assert text.startswith('event: problem\ndata: {"type":"urn:risk-tasks:problem:changes_trimmed"')
    assert shared(TransportError()) == []


def test_a_share_is_done_when_its_id_comes_back_and_not_before():
    asked = Breaches(Risk(again := Played(CHANGE)), Meters())
    group = "group=desk&reader=one"

    ask(asked, group, "7-0,8-2")
    assert again.done_places == ["7-0", "8-2"]
    ask(Breaches(Risk(first := Played(CHANGE)), Meters()), group)
    assert first.done_places == []
    ask(Breaches(Risk(looked := Played()), Meters()), group, "7-0", "HEAD")
    assert looked.done_places == []


@pytest.mark.parametrize(
    "last", ["$", "7-0,", "soon", "7-0;8-2", f"7-{1 << 64}", "7-0," * 100 + "7-0"]
)
def test_an_id_that_no_share_had_is_refused(last):
    changes = Played(CHANGE)

    with pytest.raises(InvalidSettingsError) as refused:
        ask(Breaches(Risk(changes), Meters()), "group=desk&reader=one", last)

    assert refused.value.field == "Last-Event-ID"
    assert changes.done_places == []


def test_a_term_that_is_not_known_is_refused():
    with pytest.raises(RequestError) as refused:
        ask(Breaches(Risk(Played(CHANGE)), Meters()), "grup=desk")
    assert refused.value.field == "query"
