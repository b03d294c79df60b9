"""The breach stream, and the Celery queues that listen to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any, cast

import msgspec
import redis
from redis.exceptions import ResponseError

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import ChangesTrimmedError, InvalidSettingsError
from risk_tasks.keys import BREACHES_KEY, LIVE_HANDING_KEY, LIVE_HANDING_TTL_S, LIVE_LISTENERS_KEY
from risk_tasks.model.live import LimitChange, LimitStanding, LimitState
from risk_tasks.queues import Lane
from risk_tasks.scripts import Script

#: the place before the first change, and the one after the last that is there now
BEGINNING, NOW = "0", "$"
#: how many are read, or taken over, by one call
MOST_AT_ONCE = 100

_PLACE = re.compile(r"\d{1,20}(-\d{1,20})?", re.ASCII)

_Entry = tuple[bytes, Mapping[bytes, bytes]]


class BreachStream:
    """Reads changes by place, for oneself or for a group of readers that share them."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def last(self) -> str:
        """Return the place of the last change, `BEGINNING` where there is none."""
        with transport_errors(self._client):
            entries = cast("Any", self._client.xrevrange(BREACHES_KEY, count=1))
        return text(entries[0][0]) if entries else BEGINNING

    def read(
        self, since: str, *, most: int = MOST_AT_ONCE, within_s: float = 0.0
    ) -> list[LimitChange]:
        """Return up to `most` changes after `since`, waiting `within_s` where there are none.

        `BEGINNING` is before the oldest that is kept. Raises `InvalidSettingsError` for what is no
        place, and `ChangesTrimmedError` where changes after it may be gone.
        """
        since = self.place(since)
        with transport_errors(self._client):
            found = self._client.xread({BREACHES_KEY: since}, count=most, block=_block(within_s))
            # Looked at after reading: what goes in between is missed by neither.
            about = self._client.xinfo_stream(BREACHES_KEY) if found else None
        if about and since != BEGINNING:
            _require_unbroken(since, about)
        return [change_of(place, fields) for place, fields in _entries(found)]

    def join(self, group: str, since: str = BEGINNING) -> None:
        """Make `group`, whose readers share what comes after `since`, unless there is one."""
        place = self.place(since)
        with transport_errors(self._client):
            try:
                self._client.xgroup_create(BREACHES_KEY, group, id=place, mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def read_group(
        self, group: str, reader: str, *, most: int = MOST_AT_ONCE, within_s: float = 0.0
    ) -> list[LimitChange]:
        """Return changes that no reader of `group` has had; first those that `reader` did not end.

        Each is the reader's until `acknowledge`. A group that is not there begins at the beginning.
        Raises `ChangesTrimmedError` once where some are gone that nobody ended; the next call goes
        on with what is left.
        """
        with transport_errors(self._client):
            try:
                last, own = self._group(group, reader, most)
            except ResponseError as error:
                if not any(word in str(error) for word in ("NOGROUP", "no such key")):
                    raise
                self.join(group)
                last, own = self._group(group, reader, most)
            if own:
                return self._still_there(group, own)
            found = self._client.xreadgroup(
                group, reader, {BREACHES_KEY: ">"}, count=most, block=_block(within_s)
            )
            about = self._client.xinfo_stream(BREACHES_KEY) if found else None
        if about and _order(last) > (0, 0):
            _require_unbroken(last, about)
        return [change_of(place, fields) for place, fields in _entries(found)]

    def _group(self, group: str, reader: str, most: int) -> tuple[str, list[_Entry]]:
        """Return the last place that `group` has had, and what `reader` had and did not end."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.xreadgroup(group, reader, {BREACHES_KEY: "0"}, count=most)
            pipe.xinfo_groups(BREACHES_KEY)
            own, groups = pipe.execute()
        lasts = {text(one["name"]): text(one["last-delivered-id"]) for one in groups}
        return lasts[group], _entries(own)

    def _still_there(self, group: str, own: list[_Entry]) -> list[LimitChange]:
        gone = [place for place, fields in own if not fields]
        if gone:
            self._client.xack(BREACHES_KEY, group, *gone)
            raise ChangesTrimmedError(
                f"{len(gone)} changes are gone that group {group} did not end.", field="group"
            )
        return [change_of(place, fields) for place, fields in own]

    def take_over(self, group: str, reader: str, *, idle_s: float, most: int = MOST_AT_ONCE) -> int:
        """Give `reader` what others of `group` have had for `idle_s` and did not end."""
        with transport_errors(self._client):
            taken = self._client.xautoclaim(
                BREACHES_KEY, group, reader, min_idle_time=int(idle_s * 1e3), count=most
            )
        return len(cast("Any", taken)[1])

    def acknowledge(self, group: str, places: Sequence[str]) -> None:
        """End the changes at `places` for `group`: none of its readers has them again."""
        if places:
            with transport_errors(self._client):
                self._client.xack(BREACHES_KEY, group, *places)

    def place(self, since: str) -> str:
        """Return `since` as the id of a change; raises `InvalidSettingsError` for what is none."""
        if since == NOW:
            return self.last()
        if not is_place(since):
            raise InvalidSettingsError(
                f"{since!r} is no place in the stream.",
                field="since",
                remedy="Give the id of a change, '0' for all, or '$' for those to come.",
            )
        return since


def is_place(text: object) -> bool:
    """Whether `text` may be the id of a change: two numbers of 64 bits, or the first of them."""
    if not isinstance(text, str) or not _PLACE.fullmatch(text):
        return False
    return max(_order(text)) < 1 << 64


def change_of(place: bytes | str, fields: Mapping[bytes, bytes]) -> LimitChange:
    """Return the change that an entry of the stream tells of."""
    at_ms = int(text(place).partition("-")[0])
    standing = LimitStanding(
        limit=text(fields[b"limit"]), measure="", state=LimitState(text(fields[b"state"]))
    )
    if fields[b"standing"]:
        standing = msgspec.json.decode(fields[b"standing"], type=LimitStanding)
    return LimitChange(
        id=text(place),
        event_id=text(fields[b"event"]),
        portfolio_id=text(fields[b"portfolio"]),
        version=int(fields[b"version"]),
        before=LimitState(text(fields[b"before"])),
        standing=standing,
        at=datetime.fromtimestamp(at_ms / 1e3, UTC),
    )


def _entries(found: object) -> list[_Entry]:
    """Return the entries of the one stream that was read, by whichever protocol."""
    pairs = found.items() if isinstance(found, Mapping) else (found or [])
    entries = []
    for _, told in pairs:  # type: ignore[attr-defined]
        nested = told and isinstance(told[0], list) and told[0] and isinstance(told[0][0], tuple)
        entries += told[0] if nested else told
    return entries


def _block(within_s: float) -> int | None:
    return max(1, int(within_s * 1e3)) if within_s > 0 else None


def _require_unbroken(since: str, about: Mapping[str, Any]) -> None:
    """Raise `ChangesTrimmedError` where the stream may have lost what came after `since`.

    Servers before 7 do not say how many entries there were: there, what is before the first one
    counts as lost.
    """
    first = text(about["first-entry"][0])
    has_lost = about.get("entries-added", inf) > about["length"]
    if has_lost and _order(since) < _order(first):
        raise ChangesTrimmedError(
            f"Changes after {since} are gone; the first that is left is {first}.", field="since"
        )


def _order(place: str) -> tuple[int, int]:
    ms, _, number = place.partition("-")
    return int(ms), int(number or 0)


#: a queue that nobody reads is filled no further; its listener goes on where it stopped
MAX_UNREAD = 10_000


class ListenerStore:
    """Who listens, and up to where each was told."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._hand_on = Script(client, "risk_tasks.store", "live", "hand_on")

    def add(self, queue: str, since: str) -> bool:
        """Tell `queue` of what comes after the place `since`; False where it listens already.

        Raises `InvalidSettingsError` for a queue that is a lane, since workers would take its
        messages, and for what is no place.
        """
        if not re.fullmatch(r"[0-9]{1,20}(-[0-9]{1,20})?", since):
            raise InvalidSettingsError(
                f"{since!r} is no place in the stream.",
                field="since",
                remedy="Give the id of a change, or '0' for all.",
            )
        if not queue or queue in {lane.queue for lane in Lane}:
            raise InvalidSettingsError(
                f"{queue!r} cannot be listened on.",
                field="queue",
                remedy="Name a queue of your own.",
            )
        with transport_errors(self._client):
            return bool(self._client.hsetnx(LIVE_LISTENERS_KEY, queue, since))

    def remove(self, queue: str) -> bool:
        with transport_errors(self._client):
            return bool(self._client.hdel(LIVE_LISTENERS_KEY, queue))

    def all(self) -> dict[str, str]:
        """Return the place up to which each queue was told."""
        with transport_errors(self._client):
            told = self._client.hgetall(LIVE_LISTENERS_KEY)
        return {text(queue): text(place) for queue, place in told.items()}

    def begin(self) -> None:
        """Say that changes which come from now on need somebody who hands them on."""
        with transport_errors(self._client):
            self._client.delete(LIVE_HANDING_KEY)

    def call(self, envelope: bytes) -> bool:
        """Put `envelope` on the critical lane, unless somebody was called and has not begun."""
        with transport_errors(self._client):
            called = self._client.set(LIVE_HANDING_KEY, 1, nx=True, ex=LIVE_HANDING_TTL_S)
            if called:
                self._client.lpush(Lane.CRITICAL.queue, envelope)
        return bool(called)

    def room(self, queue: str) -> int:
        """Return how many messages `queue` takes before it is full."""
        with transport_errors(self._client):
            return max(0, MAX_UNREAD - int(self._client.llen(queue)))

    def hand_on(self, queue: str, since: str, until: str, messages: Sequence[bytes]) -> bool:
        """Put `messages`, the changes after `since` up to `until`, on `queue`.

        False where somebody else did.
        """
        with transport_errors(self._client):
            return bool(
                self._hand_on(
                    keys=[LIVE_LISTENERS_KEY, queue], args=[queue, since, until, *messages]
                )
            )
