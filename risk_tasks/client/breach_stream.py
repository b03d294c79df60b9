"""Changes of state of limits as they come, for a thread or for an event loop."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Self

import redis

from risk_tasks.connection import connect
from risk_tasks.errors import InvalidSettingsError, TransportError
from risk_tasks.model.live import LimitChange
from risk_tasks.model.name import is_name
from risk_tasks.model.number import as_finite
from risk_tasks.store.breaches import NOW, BreachStream

#: how long one look at the stream waits, after which a closed client is noticed
_LOOK_S = 0.5
_RECONNECT_S = 0.2
_SOCKET_TIMEOUT_S = 5.0
#: what a reader of a group has had for so long and did not end goes to the others
TAKE_OVER_S = 60.0

log = logging.getLogger("risk_tasks")


class ChangeReader:
    """Reads changes in order, each once, however often the connection is lost.

    With a group those that were handed out are ended for it when more is asked for.
    """

    def __init__(
        self,
        url: str,
        since: str,
        *,
        group: str | None,
        reader: str | None,
        is_closed: Callable[[], bool],
    ) -> None:
        _require_names(group, reader)
        # No retries of its own: what a lost answer of a group held is read again first.
        self._client = connect(
            url, socket_timeout_s=_SOCKET_TIMEOUT_S, n_retries=0, max_connections=1
        )
        # Also of an iteration that is left in the middle.
        self._closing = weakref.finalize(self, self._client.close)
        self._stream = BreachStream(self._client)
        # Anything but the present is looked at before anything is sent.
        self._since = since if since == NOW else self._stream.position(since)
        #: a place, once `begin` has found it
        self.begins_after = self._since
        self._group, self._reader = group, reader or ""
        self._client_is_closed = is_closed
        self._is_ended = False
        self._has_begun = False
        self._read: deque[LimitChange] = deque()
        self._read_at = self._took_over_at = 0.0
        self._handed_out: LimitChange | None = None
        #: why the last look failed
        self.lost: TransportError | None = None

    @property
    def is_closed(self) -> bool:
        return self._is_ended or self._client_is_closed()

    def begin(self) -> None:
        """Find the place to read from; what comes after it is read, whenever that is."""
        if not self._has_begun:
            self._since = self.begins_after = self._stream.position(self._since)
            if self._group is not None:
                self._stream.create_group(self._group, self._since)
            self._has_begun = True

    def next(self, within_s: float) -> LimitChange | None:
        """Return the next change, or None where none comes within `within_s`, or a moment.

        Raises `TransportError` where the server cannot be reached at the beginning: later that is
        waited for. `ChangesTrimmedError` where changes are gone.
        """
        self.begin()
        try:
            self._end()
            if not self._read or self._is_old():
                self._look(min(within_s, _LOOK_S))
        except TransportError as error:
            if not isinstance(error.__cause__, redis.ConnectionError | redis.TimeoutError):
                raise
            self._note_lost(error)
            return None
        self.lost = None
        self._handed_out = self._read.popleft() if self._read else None
        return self._handed_out

    def batch(self, within_s: float) -> list[LimitChange]:
        """Return all that one look finds, as `next` does; of a group, `done` alone ends them."""
        first = self.next(within_s)
        found = [] if first is None else [first, *self._read]
        self._handed_out = None
        self._read.clear()
        return found

    def done(self, places: Sequence[str]) -> None:
        """End the changes at `places` for the group; raises where the server cannot be reached."""
        self.begin()
        if self._group is not None:
            self._stream.acknowledge(self._group, places)

    def end(self) -> None:
        """Read no more after what is being read."""
        self._is_ended = True

    def close(self) -> None:
        """End the connection; what was handed out last is not ended for the group."""
        self.end()
        self._closing()

    def _look(self, within_s: float) -> None:
        if self._group is None:
            self._read.extend(self._stream.read(self._since, timeout_s=within_s))
            if self._read:
                self._since = self._read[-1].id
            return
        self._read.clear()
        if time.monotonic() - self._took_over_at > TAKE_OVER_S / 2:
            self._stream.claim(self._group, self._reader, idle_s=TAKE_OVER_S)
            self._took_over_at = time.monotonic()
        self._read.extend(self._stream.read_group(self._group, self._reader, timeout_s=within_s))
        self._read_at = time.monotonic()

    def _is_old(self) -> bool:
        """Whether others of the group may have taken over what was read and not handed out."""
        return self._group is not None and time.monotonic() - self._read_at > TAKE_OVER_S / 2

    def _end(self) -> None:
        if self._group is not None and self._handed_out is not None:
            self._stream.acknowledge(self._group, [self._handed_out.id])
        self._handed_out = None

    def _note_lost(self, error: TransportError) -> None:
        if self.lost is None:
            log.warning("breaches.lost %s", error)
        self.lost = error
        time.sleep(_RECONNECT_S)


class Changes(Iterator[LimitChange]):
    """Changes of state of limits in their order, for one thread; ends with its client."""

    def __init__(self, reader: ChangeReader, within_s: float | None) -> None:
        self._reader = reader
        self._within_s = read_within(within_s)
        reader.begin()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LimitChange:
        quiet = Quiet(self._within_s)
        while not self._reader.is_closed:
            change = self._reader.next(quiet.left_s)
            if change is not None:
                return change
            if quiet.left_s <= 0:
                quiet.end(self._reader)
                raise StopIteration
        self.close()
        raise StopIteration

    def close(self) -> None:
        """End it, and its connection."""
        self._reader.close()


class Quiet:
    """How long nothing may come before an iteration ends; None: however long."""

    def __init__(self, within_s: float | None) -> None:
        self._until = inf if within_s is None else time.monotonic() + within_s

    @property
    def left_s(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def end(self, reader: ChangeReader) -> None:
        """Raise where nothing came because nothing could: silence is not "no breach"."""
        if reader.lost is not None:
            raise reader.lost


def read_within(within_s: float | None) -> float | None:
    """Return `within_s`; raises `InvalidSettingsError` for what is no time."""
    if within_s is None:
        return None
    number = as_finite(within_s)
    if number is None or number < 0:
        raise InvalidSettingsError(
            f"{within_s!r} is not a time to wait.",
            field="within_s",
            remedy="Give seconds, or None to wait for ever.",
        )
    return number


def _require_names(group: str | None, reader: str | None) -> None:
    if (group is None) is not (reader is None):
        raise InvalidSettingsError(
            "A group is read by a reader that has a name.",
            field="reader" if reader is None else "group",
            remedy="Give both: breaches(group='desk', reader='desk-1').",
        )
    for field, name in (("group", group), ("reader", reader)):
        if name is not None and not is_name(name):
            raise InvalidSettingsError(f"{name!r} is not a name.", field=field)


class AsyncChanges(AsyncIterator[LimitChange]):
    """Changes of state of limits in their order, for one task; ends with its client.

    It waits in a thread of its own: as many may be open as there are, and calls of the client have
    their threads.
    """

    def __init__(self, reader: ChangeReader, within_s: float | None) -> None:
        self._reader = reader
        self._within_s = read_within(within_s)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="risk-tasks-breaches")
        self._reading: asyncio.Future[LimitChange | None] | None = None
        self._is_shut = False
        # What it raises is raised again by the first look.
        self._thread.submit(reader.begin)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LimitChange:
        quiet = Quiet(self._within_s)
        while not self._reader.is_closed:
            change = await self.look(quiet.left_s)
            if change is not None:
                return change
            if quiet.left_s <= 0:
                quiet.end(self._reader)
                raise StopAsyncIteration
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End it, and its connection and thread."""
        if not self._is_shut:
            self._is_shut = True
            self._reader.end()
            # By the thread that may be reading from it.
            self._thread.submit(self._reader.close)
            self._thread.shutdown(wait=False)

    @property
    def begins_after(self) -> str:
        """The place that it began after, good for `since`; known after the first look."""
        return self._reader.begins_after

    @property
    def lost(self) -> TransportError | None:
        """Why the last look could read nothing, None where it could."""
        return self._reader.lost

    async def look(self, within_s: float) -> LimitChange | None:
        """Return the next change, or None where none comes within `within_s`, or a moment.

        What the thread read is there for the next look where this one is cancelled.
        """
        if self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(self._thread, self._reader.next, within_s)
        try:
            change = await asyncio.shield(self._reading)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._reading = None
            raise
        self._reading = None
        return change

    async def batch(self, within_s: float) -> list[LimitChange]:
        """Return all that one look finds; of a group, it is the reader's until `done`.

        What is read for one that is cancelled is the reader's as well, and comes with the next.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._reader.batch, within_s)

    async def done(self, places: Sequence[str]) -> None:
        """End the changes of these ids for the group; raises where that cannot be."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._reader.done, places)
