"""The breach stream: changes of state of limits of live portfolios, and the queues that listen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any, TypeAlias, cast

import msgspec
import redis
from redis.exceptions import ResponseError

from risk_tasks.connection import Store, text
from risk_tasks.errors import ChangesTrimmedError, InvalidSettingsError
from risk_tasks.keys import (
    BREACHES_KEY,
    LIVE_DISPATCH_KEY,
    LIVE_DISPATCH_TTL_S,
    LIVE_LISTENERS_KEY,
)
from risk_tasks.model.live import LimitChange, LimitStanding, LimitState
from risk_tasks.queues import Lane
from risk_tasks.scripts import Script, acknowledge

#: the position before the first change, and the position after the last one
BEGINNING, NOW = "0", "$"
MAX_PER_READ = 100
#: unread messages that a queue may hold; a full queue gets its changes later
MAX_UNREAD = 10_000

_POSITION = re.compile(r"\d{1,20}(-\d{1,20})?", re.ASCII)

_Entry: TypeAlias = tuple[bytes, Mapping[bytes, bytes]]


class BreachStream(Store):
    """Reads changes in order, alone or in a group whose readers share them.

    A position is the id of a change: reading after it returns the changes that follow.
    """

    def last(self) -> str:
        """Return the position of the last change, `BEGINNING` of an empty stream."""
        entries = cast("Any", self._client.xrevrange(BREACHES_KEY, count=1))
        return text(entries[0][0]) if entries else BEGINNING

    def position(self, since: str) -> str:
        """Return the position that `since` means, for `NOW` that of the last change.

        Raises `InvalidSettingsError` for an invalid position.
        """
        return self.last() if since == NOW else _position(since)

    def read(
        self, since: str, *, limit: int = MAX_PER_READ, timeout_s: float = 0.0
    ) -> list[LimitChange]:
        """Return up to `limit` changes after `since`; waits `timeout_s` for the first one.

        Raises `InvalidSettingsError` for an invalid position, and `ChangesTrimmedError` if
        changes after it may be gone. `BEGINNING` means the oldest change that is kept.
        """
        since = self.position(since)
        found = self._client.xread({BREACHES_KEY: since}, count=limit, block=_block(timeout_s))
        # After reading, so that entries which are trimmed in between are noticed.
        info = self._client.xinfo_stream(BREACHES_KEY) if found else None
        if info and since != BEGINNING:
            _require_untrimmed(since, info)
        return [_change(*entry) for entry in _entries(found)]

    def create_group(self, group: str, since: str = BEGINNING) -> None:
        """Create `group`, whose readers share the changes after `since`, unless it exists."""
        position = self.position(since)
        try:
            self._client.xgroup_create(BREACHES_KEY, group, id=position, mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read_group(
        self, group: str, reader: str, *, limit: int = MAX_PER_READ, timeout_s: float = 0.0
    ) -> list[LimitChange]:
        """Return changes for one reader of a group; first those that it did not acknowledge.

        A change is the reader's until `acknowledge`; other readers do not get it. A group that does
        not exist is created at the beginning of the stream. Raises `ChangesTrimmedError` once if
        changes are gone that were not acknowledged; the next call continues with the rest.
        """
        try:
            last, pending = self._pending(group, reader, limit)
        except ResponseError as error:
            if not any(word in str(error) for word in ("NOGROUP", "no such key")):
                raise
            self.create_group(group)
            last, pending = self._pending(group, reader, limit)
        if pending:
            return self._still_there(group, pending)
        found = self._client.xreadgroup(
            group, reader, {BREACHES_KEY: ">"}, count=limit, block=_block(timeout_s)
        )
        info = self._client.xinfo_stream(BREACHES_KEY) if found else None
        if info and order(last) > (0, 0):
            _require_untrimmed(last, info)
        return [_change(*entry) for entry in _entries(found)]

    def _pending(self, group: str, reader: str, limit: int) -> tuple[str, list[_Entry]]:
        """Return the last position that `group` read, and what `reader` did not acknowledge."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.xreadgroup(group, reader, {BREACHES_KEY: "0"}, count=limit)
            pipe.xinfo_groups(BREACHES_KEY)
            pending, groups = pipe.execute()
        lasts = {text(one["name"]): text(one["last-delivered-id"]) for one in groups}
        return lasts[group], _entries(pending)

    def _still_there(self, group: str, pending: Sequence[_Entry]) -> list[LimitChange]:
        gone = [position for position, fields in pending if not fields]
        if gone:
            self._client.xack(BREACHES_KEY, group, *gone)
            raise ChangesTrimmedError(
                f"{len(gone)} changes are gone that group {group} did not acknowledge.",
                field="group",
            )
        return [_change(*entry) for entry in pending]

    def claim(self, group: str, reader: str, *, idle_s: float, limit: int = MAX_PER_READ) -> int:
        """Give `reader` what others left unacknowledged for `idle_s`; returns how many changes."""
        claimed = self._client.xautoclaim(
            BREACHES_KEY, group, reader, min_idle_time=int(idle_s * 1e3), count=limit
        )
        return len(cast("Any", claimed)[1])

    def acknowledge(self, group: str, positions: Sequence[str]) -> None:
        """Acknowledge changes for `group`: no reader of it gets them again."""
        if positions:
            self._client.xack(BREACHES_KEY, group, *positions)


class ListenerStore(Store):
    """Celery queues that receive every change, and the last change that each received."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._deliver = Script(client, "risk_tasks.store", "live", "deliver")

    def add(self, queue: str, since: str) -> bool:
        """Deliver the changes after `since` to `queue`; False if it listens already.

        Raises `InvalidSettingsError` for the queue of a lane, whose messages workers would take,
        and for an invalid position.
        """
        _position(since)
        if not queue or queue in {lane.queue for lane in Lane}:
            raise InvalidSettingsError(
                f"Changes cannot be delivered to queue {queue!r}: workers of risk_tasks read it."
                if queue
                else "The name of the queue is empty.",
                field="queue",
                remedy="Name a queue of your own.",
            )
        return bool(acknowledge(self._client, "HSETNX", LIVE_LISTENERS_KEY, queue, since))

    def remove(self, queue: str) -> bool:
        return bool(acknowledge(self._client, "HDEL", LIVE_LISTENERS_KEY, queue))

    def all(self) -> dict[str, str]:
        """Return the position of the last change that each queue received."""
        found = self._client.hgetall(LIVE_LISTENERS_KEY)
        return {text(queue): text(position) for queue, position in found.items()}

    def request_dispatch(self, message: bytes) -> bool:
        """Put `message` on the critical lane unless a dispatch is requested and has not started."""
        is_new = self._client.set(LIVE_DISPATCH_KEY, 1, nx=True, ex=LIVE_DISPATCH_TTL_S)
        if is_new:
            self._client.lpush(Lane.CRITICAL.queue, message)
        return bool(is_new)

    def start_dispatch(self) -> None:
        """Note that a dispatch has started: changes after this need another one."""
        self._client.delete(LIVE_DISPATCH_KEY)

    def room(self, queue: str) -> int:
        """Return how many messages `queue` takes before it is full."""
        return max(0, MAX_UNREAD - int(self._client.llen(queue)))

    def deliver(self, queue: str, since: str, until: str, messages: Sequence[bytes]) -> bool:
        """Put the changes after `since` up to `until` on `queue`; False if another process did."""
        return bool(self._deliver(keys=[queue], args=[queue, since, until, *messages]))


def is_position(given: object) -> bool:
    """Whether `given` may be the id of a change: two numbers of 64 bits, or the first of them."""
    if not isinstance(given, str) or not _POSITION.fullmatch(given):
        return False
    return max(order(given)) < 1 << 64


def order(position: str) -> tuple[int, int]:
    """Return the numbers by which positions are ordered."""
    ms, _, number = position.partition("-")
    return int(ms), int(number or 0)


def _position(since: str) -> str:
    if not is_position(since):
        raise InvalidSettingsError(
            f"{since!r} is not a position in the breach stream.",
            field="since",
            remedy="Give the id of a change, '0' for all changes, or '$' for new ones.",
        )
    return since


def _change(position: bytes | str, fields: Mapping[bytes, bytes]) -> LimitChange:
    at_ms, _ = order(text(position))
    standing = LimitStanding(
        limit=text(fields[b"limit"]), measure="", state=LimitState(text(fields[b"state"]))
    )
    if fields[b"standing"]:
        standing = msgspec.json.decode(fields[b"standing"], type=LimitStanding)
    return LimitChange(
        id=text(position),
        event_id=text(fields[b"event"]),
        portfolio_id=text(fields[b"portfolio"]),
        version=int(fields[b"version"]),
        before=LimitState(text(fields[b"before"])),
        standing=standing,
        at=datetime.fromtimestamp(at_ms / 1e3, UTC),
        reason=text(fields[b"reason"]) if b"reason" in fields else None,
    )


def _entries(found: object) -> list[_Entry]:
    """Return the entries of the one stream that was read, by either protocol of Redis."""
    pairs = found.items() if isinstance(found, Mapping) else (found or [])
    entries = []
    for _, listed in pairs:  # type: ignore[attr-defined]
        nested = listed and isinstance(listed[0], list) and listed[0]
        entries += listed[0] if nested and isinstance(listed[0][0], tuple) else listed
    return entries


def _block(timeout_s: float) -> int | None:
    return max(1, int(timeout_s * 1e3)) if timeout_s > 0 else None


def _require_untrimmed(since: str, info: Mapping[str, Any]) -> None:
    """Raise `ChangesTrimmedError` if changes after `since` may have been trimmed.

    Servers before version 7 do not report how many entries were added: there, changes before the
    first entry count as trimmed.
    """
    first = text(info["first-entry"][0])
    is_trimmed = info.get("entries-added", inf) > info["length"]
    if is_trimmed and order(since) < order(first):
        raise ChangesTrimmedError(
            f"Changes after {since} are gone; the first one left is {first}.", field="since"
        )
