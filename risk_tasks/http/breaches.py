"""`/v1/breaches`: changes of limit states as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from risk_tasks.client import AsyncRiskClient
from risk_tasks.client.breach_stream import AsyncLimitChanges
from risk_tasks.errors import (
    ChangesTrimmedError,
    InvalidSettingsError,
    RequestError,
    RiskTasksError,
)
from risk_tasks.http.authentication import Role
from risk_tasks.http.gateway import Gateway
from risk_tasks.http.openapi import TEXT, Content, Operations, Parameter, ResponseSpec
from risk_tasks.http.problems import ProblemError
from risk_tasks.log import log
from risk_tasks.model.live import LimitChange
from risk_tasks.store.breaches import MAX_PER_READ, NOW, is_position
from risk_tasks.wire.documents import change_document

operations = Operations()

#: after this much silence a comment shows that the stream is alive
HEARTBEAT_S = 15.0
#: open streams at a time: each has a thread and a connection to the broker
MAX_STREAMS = 100
#: when a client reconnects: after a broken stream, and for the next share of a group
_RECONNECT_MS, _NEXT_SHARE_MS = 1_000, 50
_COMMENT = ": nothing has changed\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_MEDIA_TYPE = "text/event-stream"
LAST_HEADER = "Last-Event-ID"
_POSITION = "[0-9]{1,20}(-[0-9]{1,20})?"
_PARAMETERS = (
    Parameter(
        "since",
        "query",
        "Start after this id, which is also the start of a new group; `0`: all stored changes; "
        "`$`: later changes only.",
        {"type": "string", "pattern": rf"^(\$|{_POSITION})$", "default": "$"},
    ),
    Parameter(
        "group",
        "query",
        "The group whose readers share the changes; needs `reader`.",
        {"type": "string", "minLength": 1},
    ),
    Parameter(
        "reader",
        "query",
        "The name of the reader, for one connection at a time.",
        {"type": "string", "minLength": 1},
    ),
    Parameter(
        LAST_HEADER,
        "header",
        "The last id that was received; has precedence over `since`. In a group it acknowledges "
        "its share.",
        {
            "type": "string",
            "pattern": rf"^(\$|{_POSITION}(,{_POSITION}){{0,{MAX_PER_READ - 1}}})$",
        },
    ),
)
_QUERY = tuple(one.name for one in _PARAMETERS if one.location == "query")


@operations.add(
    "GET",
    "/v1/breaches",
    ResponseSpec(
        200,
        "Events `limit_change`, whose `data` is a LimitChange and whose `id` is its place. In a "
        "group only the last event has an id, and it ends the stream.",
        (Content(_MEDIA_TYPE, TEXT),),
    ),
    roles=(Role.READ,),
    parameters=_PARAMETERS,
    problems=(410, 422, 503),
)
async def get_breaches(gateway: Gateway, request: Request) -> Response:
    """Changes of limit states of live portfolios: an endless stream, or the next share of a group.

    Errors of the first read become the status of the response.
    """
    gateway.require_not_draining()
    if gateway.n_streams >= MAX_STREAMS:
        raise ProblemError(
            503,
            "busy",
            f"The gateway has {gateway.n_streams} open streams: expected fewer than {MAX_STREAMS}.",
            remedy="Close streams, or start another gateway.",
        )
    source = _open(gateway.risk, request)
    is_head = request.method == "HEAD"
    gateway.count_stream(+1)
    try:
        await (source.probe() if is_head else source.begin())
    except BaseException:
        await _end(gateway, source)
        raise
    if is_head:
        await _end(gateway, source)
        return Response(headers=_HEADERS, media_type=_MEDIA_TYPE)
    return _Stream(gateway, source)


class EventSource:
    """Reads all changes after a position and formats them as server-sent events."""

    #: whether the stream ends after its first text
    ends_after_text = False

    def __init__(self, changes: AsyncLimitChanges) -> None:
        self.changes = changes
        self._first = ""

    async def begin(self) -> None:
        """Read the changes that are there. Raises if the broker cannot be read."""
        self._first = await self._read(0.0)
        if self.changes.read_error is not None:
            raise self.changes.read_error

    async def next(self, timeout_s: float) -> str:
        """Return the text of the next changes, empty if none arrives in about `timeout_s`."""
        text, self._first = self._first, ""
        return text or await self._read(timeout_s)

    async def probe(self) -> None:
        """Raise if a stream could not begin; take no changes from other readers."""
        await self.begin()

    def preamble(self) -> str:
        """Return the start of the stream."""
        # The position: a client that reconnects before the first event misses no change.
        return f"retry: {_RECONNECT_MS}\nid: {self.changes.start_position}\n\n"

    async def _read(self, timeout_s: float) -> str:
        change = await self.changes.poll(timeout_s)
        return "" if change is None else _event(change, change.id)

    def final_event(self, error: RiskTasksError) -> str:
        """Return an event for an error that no later request would report."""
        return ""


class SharedChanges(EventSource):
    """The next share of a group's changes; its last event has the ids of all of them.

    A `Last-Event-ID` with these ids acknowledges the share. Neither a completed write nor an open
    connection proves that the client has read it.
    """

    ends_after_text = True

    def __init__(self, changes: AsyncLimitChanges, acknowledged: Sequence[str]) -> None:
        super().__init__(changes)
        self._acknowledged = acknowledged

    async def begin(self) -> None:
        await self.changes.acknowledge(self._acknowledged)
        await super().begin()

    async def probe(self) -> None:
        await self.changes.acknowledge(())

    def preamble(self) -> str:
        # No id: the client keeps that of its last share until it receives another share.
        return f"retry: {_NEXT_SHARE_MS}\n\n"

    async def _read(self, timeout_s: float) -> str:
        share = await self.changes.poll_all(timeout_s)
        if not share:
            return ""
        # Only the last event has an id: a truncated share is delivered again as a whole.
        ids = ",".join(change.id for change in share)
        return "".join([*map(_event, share[:-1]), _event(share[-1], ids)])

    def final_event(self, error: RiskTasksError) -> str:
        if not isinstance(error, ChangesTrimmedError):
            return ""
        document = msgspec.json.encode(ProblemError.of(error).document).decode()
        return f"event: problem\ndata: {document}\n\n"


def _event(change: LimitChange, event_id: str = "") -> str:
    data = msgspec.json.encode(change_document(change)).decode()
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: limit_change\ndata: {data}\n\n"


async def stream_events(
    gateway: Gateway, source: EventSource, *, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[str]:
    """Yield the text of the stream until the gateway drains.

    Without a connection to the broker the stream ends: a comment would claim that nothing changed.
    """
    yield source.preamble()
    yielded_at = time.monotonic()
    try:
        while not gateway.is_draining:
            text = await source.next(heartbeat_s)
            if text and source.ends_after_text:
                yield text
                return
            if not text and time.monotonic() - yielded_at >= heartbeat_s:
                if source.changes.read_error is not None:
                    raise source.changes.read_error
                text = _COMMENT
            if text:
                yield text
                yielded_at = time.monotonic()
    except RiskTasksError as error:
        log.warning("gateway.stream_ended", code=error.code, error=str(error))
        if event := source.final_event(error):
            yield event


async def _end(gateway: Gateway, source: EventSource) -> None:
    gateway.count_stream(-1)
    await source.changes.aclose()


class _Stream(StreamingResponse):
    """A response that closes its source at its end, also after a disconnect."""

    def __init__(self, gateway: Gateway, source: EventSource) -> None:
        super().__init__(stream_events(gateway, source), 200, _HEADERS, _MEDIA_TYPE)
        self._gateway = gateway
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await _end(self._gateway, self._source)


def _open(risk: AsyncRiskClient, request: Request) -> EventSource:
    """Return the source of the request. Raises `RequestError` for an unknown query parameter."""
    query, last = request.query_params, request.headers.get(LAST_HEADER)
    unknown = set(query) - set(_QUERY)
    if unknown:
        # Ignoring a mistyped name would silently start the stream at another position.
        raise RequestError(
            f"Unknown query parameter {min(unknown)[:100]!r}: expected {', '.join(_QUERY)}.",
            field="query",
            remedy="Remove it, or correct its name.",
        )
    since, group, reader = (query.get(name) for name in _QUERY)
    since = NOW if since is None else since
    if group is None and reader is None:
        return EventSource(risk.breaches(last or since))
    return SharedChanges(risk.breaches(since, group=group, reader=reader), _read_share(last))


def _read_share(last: str | None) -> list[str]:
    """Return the ids that a reader acknowledges. Raises `InvalidSettingsError` for invalid ids."""
    positions = last.split(",") if last else []
    if len(positions) > MAX_PER_READ or not all(map(is_position, positions)):
        raise InvalidSettingsError(
            f"{LAST_HEADER} is {str(last)[:100]!r}: expected the last id of a share.",
            field=LAST_HEADER,
            remedy="Send the last id as it was received, or no id.",
        )
    return positions
