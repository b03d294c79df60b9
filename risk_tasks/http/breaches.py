"""`/v1/breaches`: changes of state of limits as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from risk_tasks.client import AsyncRiskClient
from risk_tasks.client.awaited_changes import AsyncChanges
from risk_tasks.errors import RequestError, RiskTasksError
from risk_tasks.http.live_operations import EVENT_STREAM_TYPE, PLACE_HEADER
from risk_tasks.http.meters import Meters
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.http.tokens import Caller
from risk_tasks.model.live import LimitChange
from risk_tasks.store.breaches import NOW
from risk_tasks.wire.live import change_document

log = structlog.get_logger("risk_tasks")

#: how long a stream is silent before a comment says that it lives
HEARTBEAT_S = 15.0
#: how many are read at once: each has a thread and a connection to the server
MOST_STREAMS = 100
_RECONNECT_MS = 1_000
_COMMENT = ": nothing has changed\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Breaches:
    """Streams changes to whoever reads them, each from a place of its own, until it is drained."""

    def __init__(
        self, risk: AsyncRiskClient, meters: Meters, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._risk = risk
        self._meters = meters
        self._heartbeat_s = heartbeat_s
        self._is_draining = False
        self._n_open = 0

    def drain(self) -> None:
        """End each stream within a moment: its reader goes on elsewhere, where it was."""
        self._is_draining = True

    async def get(self, request: Request, caller: Caller) -> Response:
        """Stream what comes after the place that is asked for.

        Whether it can be read from there is known before the answer begins.
        """
        since = _read_since(request)
        self._require_room()
        changes = self._risk.breaches(since)
        self._count(1)
        try:
            first = await _first(changes)
        except BaseException:
            await self.end(changes)
            raise
        stream = _Stream(self, changes, first)
        if request.method == "HEAD":
            await self.end(changes)
            return Response(headers=dict(stream.headers))
        return stream

    async def events(self, changes: AsyncChanges, first: LimitChange | None) -> AsyncIterator[str]:
        """Yield the text of the stream.

        It begins with its place, so that who reads nothing and comes again misses nothing. One that
        can hear nothing ends, instead of saying that nothing has changed.
        """
        yield f"retry: {_RECONNECT_MS}\nid: {changes.begins_after}\n\n"
        change, told_at = first, time.monotonic()
        try:
            while not self._is_draining:
                if change is not None:
                    yield _event(change)
                    told_at = time.monotonic()
                elif time.monotonic() - told_at >= self._heartbeat_s:
                    if changes.lost is not None:
                        raise changes.lost
                    yield _COMMENT
                    told_at = time.monotonic()
                change = await changes.look(self._heartbeat_s)
        except RiskTasksError as error:
            # The head is sent: the reader is told why when it comes again.
            log.warning("gateway.stream_ended", code=error.code, error=str(error))

    async def end(self, changes: AsyncChanges) -> None:
        """End what one stream reads from."""
        self._count(-1)
        await changes.aclose()

    def _require_room(self) -> None:
        if self._is_draining:
            raise ProblemError(
                503, "draining", "The gateway is stopping.", retry_after_s=RETRY_AFTER_S
            )
        if self._n_open >= MOST_STREAMS:
            raise ProblemError(
                503,
                "busy",
                f"{MOST_STREAMS} streams are read here.",
                remedy="End some, or start another gateway.",
                retry_after_s=RETRY_AFTER_S,
            )

    def _count(self, more: int) -> None:
        self._n_open += more
        self._meters.streams.set(self._n_open)


class _Stream(StreamingResponse):
    """Ends what it reads from, however it ends: also when its reader has gone."""

    def __init__(self, of: Breaches, changes: AsyncChanges, first: LimitChange | None) -> None:
        super().__init__(of.events(changes, first), 200, _HEADERS, EVENT_STREAM_TYPE)
        self._of = of
        self._changes = changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._of.end(self._changes)


async def _first(changes: AsyncChanges) -> LimitChange | None:
    """Return what is there already; raises where nothing could be read."""
    found = await changes.look(0.0)
    if changes.lost is not None:
        raise changes.lost
    return found


def _read_since(request: Request) -> str:
    """Return the place to read from; raises `RequestError` for terms that are not known."""
    unknown = set(request.query_params) - {"since"}
    if unknown:
        # One that is mistyped would be a stream that silently begins elsewhere.
        raise RequestError(
            f"There is no {min(unknown)[:100]!r} here.", field="query", remedy="Give since."
        )
    return request.headers.get(PLACE_HEADER) or request.query_params.get("since", NOW)


def _event(change: LimitChange) -> str:
    data = msgspec.json.encode(change_document(change)).decode()
    return f"id: {change.id}\nevent: limit_change\ndata: {data}\n\n"
