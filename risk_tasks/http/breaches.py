"""`/v1/breaches`: changes of state of limits as server-sent events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from risk_tasks.client import AsyncRiskClient
from risk_tasks.errors import InvalidSettingsError, RequestError, RiskTasksError
from risk_tasks.http.event_sources import EventSource, EveryChange, SharedChanges
from risk_tasks.http.live_operations import EVENT_STREAM_TYPE, PLACE_HEADER
from risk_tasks.http.meters import Meters
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.http.tokens import Caller
from risk_tasks.store.breaches import MOST_AT_ONCE, NOW, is_place

log = structlog.get_logger("risk_tasks")

#: how long a stream is silent before a comment says that it lives
HEARTBEAT_S = 15.0
#: how many are read at once: each has a thread and a connection to the server
MOST_STREAMS = 100
_TERMS = ("since", "group", "reader")
_COMMENT = ": nothing has changed\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Breaches:
    """Streams changes to whoever reads them, alone or in a group, until it is drained."""

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
        """Stream what comes after the place that is asked for, or the next share of a group.

        Whether it can be read is known before the answer begins.
        """
        self._require_room()
        source = _open(self._risk, request)
        is_head = request.method == "HEAD"
        self._count(1)
        try:
            await (source.probe() if is_head else source.begin())
        except BaseException:
            await self.end(source)
            raise
        if is_head:
            await self.end(source)
            return Response(headers=_HEADERS, media_type=EVENT_STREAM_TYPE)
        return _Stream(self, source)

    async def events(self, source: EventSource) -> AsyncIterator[str]:
        """Yield the text of the stream.

        One that can hear nothing ends, instead of saying that nothing has changed.
        """
        yield source.head()
        told_at = time.monotonic()
        try:
            while not self._is_draining:
                text = await source.look(self._heartbeat_s)
                if text and source.says_once:
                    yield text
                    return
                if not text and time.monotonic() - told_at >= self._heartbeat_s:
                    if source.changes.lost is not None:
                        raise source.changes.lost
                    text = _COMMENT
                if text:
                    yield text
                    told_at = time.monotonic()
        except RiskTasksError as error:
            log.warning("gateway.stream_ended", code=error.code, error=str(error))
            if words := source.last_words(error):
                yield words

    async def end(self, source: EventSource) -> None:
        """End what one stream reads from."""
        self._count(-1)
        await source.changes.aclose()

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

    def __init__(self, of: Breaches, source: EventSource) -> None:
        super().__init__(of.events(source), 200, _HEADERS, EVENT_STREAM_TYPE)
        self._of = of
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._of.end(self._source)


def _open(risk: AsyncRiskClient, request: Request) -> EventSource:
    """Return what the request reads from; raises `RequestError` for terms that are not known."""
    query, last = request.query_params, request.headers.get(PLACE_HEADER)
    unknown = set(query) - set(_TERMS)
    if unknown:
        # One that is mistyped would be a stream that silently begins elsewhere.
        raise RequestError(
            f"There is no {min(unknown)[:100]!r} here.",
            field="query",
            remedy=f"Give {', '.join(_TERMS)}.",
        )
    since, group, reader = (query.get(name) for name in _TERMS)
    since = NOW if since is None else since
    if group is None and reader is None:
        return EveryChange(risk.breaches(last or since))
    return SharedChanges(risk.breaches(since, group=group, reader=reader), _read_share(last))


def _read_share(last: str | None) -> list[str]:
    """Return the ids that a reader has done; raises `InvalidSettingsError` for what are none."""
    places = last.split(",") if last else []
    if len(places) > MOST_AT_ONCE or not all(map(is_place, places)):
        raise InvalidSettingsError(
            "Not the last id of a share.",
            field=PLACE_HEADER,
            remedy="Send the id of the last event as it came, or none.",
        )
    return places
