"""Changes of state of limits for an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from risk_tasks.client.changes import ChangeReader, Quiet, read_within
from risk_tasks.errors import TransportError
from risk_tasks.model.live import LimitChange


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
