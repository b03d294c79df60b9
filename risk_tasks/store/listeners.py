"""Celery queues that are told of every change of state of a limit."""

from __future__ import annotations

import re
from collections.abc import Sequence

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.keys import LIVE_HANDING_KEY, LIVE_HANDING_TTL_S, LIVE_LISTENERS_KEY
from risk_tasks.queues import Lane
from risk_tasks.scripts import Script

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
