"""Streams of limit changes: events, heartbeats, and how they end."""

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
from risk_tasks.http.breaches import EventSource, SharedChanges, get_breaches
from risk_tasks.http.gateway import Gateway
from risk_tasks.http.problems import ProblemError
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


class Script:
    """Scripted changes: what each read returns or raises, then a trimmed stream."""

    start_position = "3-1"
    read_error: TransportError | None = None

    def __init__(self, *found: LimitChange | Exception | None) -> None:
        self._found = list(found)
        self.is_closed = False
        self.acknowledged: list[str] = []

    async def poll(self, timeout_s: float) -> LimitChange | None:
        found = self._found.pop(0) if self._found else ChangesTrimmedError()
        if isinstance(found, Exception):
            raise found
        return found

    async def poll_all(self, timeout_s: float) -> list[LimitChange]:
        first = await self.poll(timeout_s)
        found = [first] if first is not None else []
        while found and self._found and isinstance(self._found[0], LimitChange):
            found.append(self._found.pop(0))
        return found

    async def acknowledge(self, change_ids: Sequence[str]) -> None:
        self.acknowledged += change_ids

    async def aclose(self) -> None:
        self.is_closed = True


class Risk:
    """A client whose changes are scripted."""

    def __init__(self, changes: Script) -> None:
        self.changes = changes

    def breaches(self, since: str, **group: str) -> Script:
        return self.changes


class NoStore:
    """A store of idempotency keys that no test uses."""


def gateway_of(changes: Script) -> Gateway:
    return Gateway(Risk(changes), NoStore(), lambda: None)


def streamed(source: EventSource, heartbeat_s: float) -> tuple[str, list[str]]:
    """Return the start of a stream and the texts after it."""
    gateway = gateway_of(source.changes)

    async def read() -> list[str]:
        events = breaches.stream_events(gateway, source, heartbeat_s=heartbeat_s)
        return [text async for text in events]

    preamble, *rest = asyncio.run(read())
    return preamble, rest


def texts(changes: Script, heartbeat_s: float) -> list[str]:
    preamble, rest = streamed(EventSource(changes), heartbeat_s)
    assert preamble == "retry: 1000\nid: 3-1\n\n"
    return rest


def get(gateway: Gateway, query: str = "", last: str = "", method: str = "GET") -> None:
    headers = [(b"last-event-id", last.encode())] if last else []
    scope = {"type": "http", "method": method, "headers": headers, "query_string": query.encode()}
    asyncio.run(get_breaches(gateway, Request(scope)))


def test_a_change_is_one_event_even_with_a_newline_in_a_name():
    (text,) = texts(Script(CHANGE), 60)

    assert text.startswith('id: 7-0\nevent: limit_change\ndata: {"id":"7-0","event_id":"e"')
    assert text.count("\n") == 4
    assert text.endswith("}\n\n")


def test_a_heartbeat_is_sent_only_after_its_interval():
    assert texts(Script(None, None), 0) == [": nothing has changed\n\n"] * 2
    assert texts(Script(None, None), 60) == []


def test_a_stream_without_its_broker_sends_no_heartbeat():
    changes = Script(None, None)
    changes.read_error = TransportError()

    assert texts(changes, 0) == []


def test_a_draining_gateway_ends_its_streams_and_refuses_new_ones():
    changes = Script(*[CHANGE] * 9)
    gateway = gateway_of(changes)

    async def read() -> list[str]:
        found = []
        async for text in breaches.stream_events(gateway, EventSource(changes)):
            found.append(text)
            if len(found) == 3:
                gateway.drain()
        return found

    assert len(asyncio.run(read())) == 3
    with pytest.raises(ProblemError) as refused:
        get(gateway)
    assert refused.value.code == "draining"


def test_an_error_of_the_first_read_is_raised_and_releases_the_stream():
    changes = Script(ChangesTrimmedError())
    gateway = gateway_of(changes)

    with pytest.raises(ChangesTrimmedError):
        get(gateway)

    assert changes.is_closed
    assert gateway.metrics.registry.get_sample_value("risk_tasks_http_streams") == 0


def test_a_stream_does_not_begin_without_its_broker():
    changes = Script(None)
    changes.read_error = TransportError()

    with pytest.raises(TransportError):
        get(gateway_of(changes))

    assert changes.is_closed


def test_the_number_of_streams_is_bounded(monkeypatch):
    monkeypatch.setattr(breaches, "MAX_STREAMS", 2)
    gateway = gateway_of(Script(None, None, None))
    get(gateway)
    get(gateway)

    with pytest.raises(ProblemError) as refused:
        get(gateway)
    assert (refused.value.status, refused.value.code) == (503, "busy")


NEXT = replace(CHANGE, id="8-2")


def shared(*found: LimitChange | Exception | None, heartbeat_s: float = 60) -> list[str]:
    preamble, rest = streamed(SharedChanges(Script(*found), ()), heartbeat_s)
    # A client would send an id back as an acknowledgement.
    assert preamble == "retry: 50\n\n"
    return rest


def test_a_share_is_one_text_and_only_its_last_event_has_the_ids():
    (text,) = shared(None, CHANGE, NEXT, None, CHANGE)

    first, last, rest = text.split("\n\n")
    assert first.startswith('event: limit_change\ndata: {"id":"7-0"')
    assert last.startswith('id: 7-0,8-2\nevent: limit_change\ndata: {"id":"8-2"')
    assert rest == ""


def test_a_reader_that_waits_for_a_share_gets_heartbeats():
    comment, text = shared(None, CHANGE, heartbeat_s=0)

    assert comment == ": nothing has changed\n\n"
    assert text.startswith("id: 7-0\n")


def test_trimmed_changes_of_a_group_are_reported_in_the_stream():
    """The next request would not report them; other errors it would."""
    (text,) = shared(None, ChangesTrimmedError())

    assert text.startswith('event: problem\ndata: {"type":"urn:risk-tasks:problem:changes_trimmed"')
    assert shared(TransportError()) == []


def test_a_share_is_acknowledged_only_by_its_id():
    group = "group=desk&reader=one"

    get(gateway_of(again := Script(CHANGE)), group, "7-0,8-2")
    assert again.acknowledged == ["7-0", "8-2"]
    get(gateway_of(first := Script(CHANGE)), group)
    assert first.acknowledged == []
    get(gateway_of(probed := Script()), group, "7-0", "HEAD")
    assert probed.acknowledged == []


@pytest.mark.parametrize(
    "last", ["$", "7-0,", "soon", "7-0;8-2", f"7-{1 << 64}", "7-0," * 100 + "7-0"]
)
def test_an_id_that_is_not_of_a_share_is_refused(last):
    changes = Script(CHANGE)

    with pytest.raises(InvalidSettingsError) as refused:
        get(gateway_of(changes), "group=desk&reader=one", last)

    assert refused.value.field == "Last-Event-ID"
    assert changes.acknowledged == []


def test_an_unknown_query_parameter_is_refused():
    with pytest.raises(RequestError, match="'grup': expected since, group, reader") as refused:
        get(gateway_of(Script(CHANGE)), "grup=desk")
    assert refused.value.field == "query"
