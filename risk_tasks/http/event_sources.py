"""What a stream of changes is read from: a place of the reader's own, or the share of a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from risk_tasks.client.breach_stream import AsyncChanges
from risk_tasks.errors import ChangesTrimmedError, RiskTasksError
from risk_tasks.http.problems import ProblemError
from risk_tasks.model.live import LimitChange
from risk_tasks.wire.live import change_document

#: when a reader comes again: after a stream that broke, and for the next share
_RECONNECT_MS, _NEXT_SHARE_MS = 1_000, 50


class EventSource(ABC):
    """Says what comes as the text of server-sent events."""

    #: whether a stream ends once something came
    says_once = False

    def __init__(self, changes: AsyncChanges) -> None:
        self.changes = changes
        self._first = ""

    async def begin(self) -> None:
        """Read what is there already; raises where nothing could be read."""
        self._first = await self._read(0.0)
        if self.changes.lost is not None:
            raise self.changes.lost

    async def look(self, within_s: float) -> str:
        """Return what comes within `within_s`, or a moment; empty where nothing does."""
        text, self._first = self._first, ""
        return text or await self._read(within_s)

    @abstractmethod
    async def probe(self) -> None:
        """Raise where a stream could not begin; nothing is taken from other readers."""

    @abstractmethod
    def head(self) -> str:
        """Return what a stream begins with."""

    @abstractmethod
    async def _read(self, within_s: float) -> str:
        """Return the text of what comes."""

    def last_words(self, error: RiskTasksError) -> str:
        """Return what the reader is told of `error` that it would not be told when it comes again.

        The head of the answer is sent: the status can tell it no more.
        """
        return ""


class EveryChange(EventSource):
    """All changes after a place."""

    async def probe(self) -> None:
        await self.begin()

    def head(self) -> str:
        # With the place, so that who reads nothing and comes again misses nothing.
        return f"retry: {_RECONNECT_MS}\nid: {self.changes.begins_after}\n\n"

    async def _read(self, within_s: float) -> str:
        change = await self.changes.look(within_s)
        return "" if change is None else _event(change, change.id)


class SharedChanges(EventSource):
    """The next share of a group's changes, of which the last event has the ids of all.

    Who comes again with those as its `Last-Event-ID` has `done` them. Nothing else ends a change
    for the group: neither that it was written nor that the connection took it is known to mean that
    it was read.
    """

    says_once = True

    def __init__(self, changes: AsyncChanges, done: Sequence[str]) -> None:
        super().__init__(changes)
        self._done = done

    async def begin(self) -> None:
        await self.changes.done(self._done)
        await super().begin()

    async def probe(self) -> None:
        await self.changes.done(())

    def head(self) -> str:
        # Without an id: that of the last share is the reader's until there is another.
        return f"retry: {_NEXT_SHARE_MS}\n\n"

    async def _read(self, within_s: float) -> str:
        share = await self.changes.batch(within_s)
        if not share:
            return ""
        # On the last alone: a share that is cut off comes again whole.
        ids = ",".join(change.id for change in share)
        return "".join([*map(_event, share[:-1]), _event(share[-1], ids)])

    def last_words(self, error: RiskTasksError) -> str:
        if not isinstance(error, ChangesTrimmedError):
            return ""
        document = msgspec.json.encode(ProblemError.of(error).document).decode()
        return f"event: problem\ndata: {document}\n\n"


def _event(change: LimitChange, place: str = "") -> str:
    data = msgspec.json.encode(change_document(change)).decode()
    head = f"id: {place}\n" if place else ""
    return f"{head}event: limit_change\ndata: {data}\n\n"
