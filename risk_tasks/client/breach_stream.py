"""The breach stream: changes of state of limits, read by a thread or by an event loop."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import inf

import redis

from risk_tasks.connection import connect
from risk_tasks.errors import InvalidSettingsError, TransportError
from risk_tasks.model.live import LimitChange
from risk_tasks.model.values import as_finite, is_name
from risk_tasks.store.breaches import NOW, BreachStream

#: the longest read of the stream: a closed client is noticed after it
_MAX_READ_S = 0.5
_RECONNECT_S = 0.2
_SOCKET_TIMEOUT_S = 5.0
#: changes that a reader of a group does not acknowledge for so long go to another reader
CLAIM_AFTER_S = 60.0

log = logging.getLogger("risk_tasks")


class LimitChangeReader:
    """Reads changes in order, each once, also over lost connections.

    In a group, a change is acknowledged when the next one is read.
    """

    def __init__(
        self,
        url: str,
        since: str,
        *,
        group: str | None,
        reader: str | None,
        is_client_closed: Callable[[], bool],
    ) -> None:
        _require_names(group, reader)
        # Without retries: after a lost connection, a group reads its pending changes first.
        self._client = connect(
            url, socket_timeout_s=_SOCKET_TIMEOUT_S, n_retries=0, max_connections=1
        )
        # Also closes the connection of an iterator that is dropped.
        self._close_client = weakref.finalize(self, self._client.close)
        self._stream = BreachStream(self._client)
        # An id is validated before anything is sent.
        self._position = since if since == NOW else self._stream.position(since)
        #: the id of the last change before the first one that is read, once `start` was called
        self.start_position = self._position
        self._group, self._reader = group, reader or ""
        self._is_client_closed = is_client_closed
        self._is_stopped = self._is_started = False
        self._changes: deque[LimitChange] = deque()
        self._read_at = self._claimed_at = 0.0
        self._unacknowledged: LimitChange | None = None
        #: the error of the last read, None if it succeeded
        self.read_error: TransportError | None = None

    @property
    def is_closed(self) -> bool:
        return self._is_stopped or self._is_client_closed()

    def start(self) -> None:
        """Find the position to read from, once; every change after it is read."""
        if not self._is_started:
            self._position = self.start_position = self._stream.position(self._position)
            if self._group is not None:
                self._stream.create_group(self._group, self._position)
            self._is_started = True

    def poll(self, timeout_s: float) -> LimitChange | None:
        """Return the next change, or None after `timeout_s` or half a second without one.

        Raises `TransportError` if the server cannot be reached at the start, and
        `ChangesTrimmedError` if changes were deleted before they were read. A later loss of the
        connection sets `read_error`.
        """
        self.start()
        try:
            if self._group is not None and self._unacknowledged is not None:
                self._stream.acknowledge(self._group, [self._unacknowledged.id])
            self._unacknowledged = None
            if not self._changes or self._may_be_claimed():
                self._read(max(0.0, min(timeout_s, _MAX_READ_S)))
        except TransportError as error:
            if not isinstance(error.__cause__, redis.ConnectionError | redis.TimeoutError):
                raise
            if self.read_error is None:
                log.warning("breaches.lost %s", error)
            self.read_error = error
            time.sleep(_RECONNECT_S)
            return None
        self.read_error = None
        self._unacknowledged = self._changes.popleft() if self._changes else None
        return self._unacknowledged

    def poll_all(self, timeout_s: float) -> list[LimitChange]:
        """Return all changes of one read, as `poll` does; a group needs `acknowledge`."""
        first = self.poll(timeout_s)
        found = [] if first is None else [first, *self._changes]
        self._unacknowledged = None
        self._changes.clear()
        return found

    def acknowledge(self, change_ids: Sequence[str]) -> None:
        """Acknowledge changes of the group; raises `TransportError`."""
        self.start()
        if self._group is not None:
            self._stream.acknowledge(self._group, change_ids)

    def require_readable(self) -> None:
        """Raise the error of the last read: its silence does not mean that nothing changed."""
        if self.read_error is not None:
            raise self.read_error

    def stop(self) -> None:
        """Read nothing more."""
        self._is_stopped = True

    def close(self) -> None:
        """Close the connection; the last change is not acknowledged."""
        self.stop()
        self._close_client()

    def _read(self, timeout_s: float) -> None:
        if self._group is None:
            self._changes.extend(self._stream.read(self._position, timeout_s=timeout_s))
            if self._changes:
                self._position = self._changes[-1].id
            return
        self._changes.clear()
        if time.monotonic() - self._claimed_at > CLAIM_AFTER_S / 2:
            self._stream.claim(self._group, self._reader, idle_s=CLAIM_AFTER_S)
            self._claimed_at = time.monotonic()
        self._changes.extend(
            self._stream.read_group(self._group, self._reader, timeout_s=timeout_s)
        )
        self._read_at = time.monotonic()

    def _may_be_claimed(self) -> bool:
        """Whether other readers of the group may have claimed the changes that were read."""
        return self._group is not None and time.monotonic() - self._read_at > CLAIM_AFTER_S / 2


class LimitChanges(Iterator[LimitChange]):
    """Changes of state of limits in order, for one thread; ends with its client."""

    def __init__(self, reader: LimitChangeReader, idle_timeout_s: float | None) -> None:
        self._reader = reader
        self._idle_timeout_s = _read_idle_timeout(idle_timeout_s)
        reader.start()

    def __next__(self) -> LimitChange:
        deadline = time.monotonic() + self._idle_timeout_s
        while not self._reader.is_closed:
            change = self._reader.poll(deadline - time.monotonic())
            if change is not None:
                return change
            if time.monotonic() >= deadline:
                self._reader.require_readable()
                raise StopIteration
        self.close()
        raise StopIteration

    def close(self) -> None:
        """End the iteration and close its connection."""
        self._reader.close()


class AsyncLimitChanges(AsyncIterator[LimitChange]):
    """Changes of state of limits in order, for one task; ends with its client.

    It waits in a thread of its own, so that any number may be open beside the calls of the client.
    """

    def __init__(self, reader: LimitChangeReader, idle_timeout_s: float | None) -> None:
        self._reader = reader
        self._idle_timeout_s = _read_idle_timeout(idle_timeout_s)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="risk-tasks-breaches")
        self._polling: asyncio.Future[LimitChange | None] | None = None
        # The first poll raises its errors again.
        self._thread.submit(reader.start)

    async def __anext__(self) -> LimitChange:
        deadline = time.monotonic() + self._idle_timeout_s
        while not self._reader.is_closed:
            change = await self.poll(deadline - time.monotonic())
            if change is not None:
                return change
            if time.monotonic() >= deadline:
                self._reader.require_readable()
                raise StopAsyncIteration
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration and close its connection and thread."""
        self._reader.stop()
        with suppress(RuntimeError):  # closed before
            # In the thread that may be reading from the connection.
            self._thread.submit(self._reader.close)
        self._thread.shutdown(wait=False)

    @property
    def start_position(self) -> str:
        """The id of the last change before the first, valid for `since`; known after a poll."""
        return self._reader.start_position

    @property
    def read_error(self) -> TransportError | None:
        """The error of the last read, None if it succeeded."""
        return self._reader.read_error

    async def poll(self, timeout_s: float) -> LimitChange | None:
        """Return the next change, or None after `timeout_s` or half a second without one.

        A poll that is cancelled loses nothing: the next one returns its change.
        """
        if self._polling is None:
            loop = asyncio.get_running_loop()
            self._polling = loop.run_in_executor(self._thread, self._reader.poll, timeout_s)
        await asyncio.wait([self._polling])
        polling, self._polling = self._polling, None
        return polling.result()

    async def poll_all(self, timeout_s: float) -> list[LimitChange]:
        """Return all changes of one read; those of a group are pending until `acknowledge`.

        Those of a poll that is cancelled are pending as well, and come with the next one.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._reader.poll_all, timeout_s)

    async def acknowledge(self, change_ids: Sequence[str]) -> None:
        """Acknowledge changes of the group; raises `TransportError`."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._reader.acknowledge, change_ids)


def _read_idle_timeout(idle_timeout_s: float | None) -> float:
    """Return seconds, infinite for None; raises `InvalidSettingsError` for anything else."""
    if idle_timeout_s is None:
        return inf
    number = as_finite(idle_timeout_s)
    if number is None or number < 0:
        raise InvalidSettingsError(
            f"{idle_timeout_s!r} is not a time to wait.",
            field="idle_timeout_s",
            remedy="Give seconds from 0, or None to wait without limit.",
        )
    return number


def _require_names(group: str | None, reader: str | None) -> None:
    if (group is None) is not (reader is None):
        raise InvalidSettingsError(
            "A group needs a reader, and a reader a group.",
            field="reader" if reader is None else "group",
            remedy="Give both: breaches(group='desk', reader='desk-1').",
        )
    for field, name in (("group", group), ("reader", reader)):
        if name is not None and not is_name(name):
            raise InvalidSettingsError(f"{name!r} is not a name.", field=field)
