"""Limit sets on the server: a name points to the version of its current one."""

from __future__ import annotations

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import UnknownLimitSetError
from risk_tasks.keys import LIMIT_SETS_KEY, limits_key
from risk_tasks.model.limits import LimitSet
from risk_tasks.scripts import Script
from risk_tasks.wire.documents import limit_set_document, read_limit_set
from risk_tasks.wire.framing import decoding


class LimitStore:
    """Publishes and loads limit sets over one connection pool; safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._publish = Script(client, "risk_tasks.store", "published", "limits", after=("live",))

    def publish(self, limit_set: LimitSet, name: str) -> str:
        """Make `limit_set` the current one of `name`; returns its version.

        A check submitted after this returns is held against this set or a later one.
        """
        document = msgspec.json.encode(limit_set_document(limit_set))
        with transport_errors(self._client):
            self._publish(
                keys=[limits_key(limit_set.version), LIMIT_SETS_KEY],
                args=[limit_set.version, name, document],
            )
        return limit_set.version

    def current(self) -> dict[str, str]:
        """Return the version of the current limit set of each name."""
        with transport_errors(self._client):
            names = self._client.hgetall(LIMIT_SETS_KEY)
        return {text(name): text(version) for name, version in names.items()}

    def load(self, version: str) -> LimitSet:
        """Return the limit set of this version.

        Raises `UnknownLimitSetError` for none such, and `DecodeError` for damaged content.
        """
        with transport_errors(self._client):
            document = self._client.get(limits_key(version))
        if document is None:
            raise UnknownLimitSetError(f"No limit set of version {version}.", field="limits")
        with decoding("limit set"):
            return read_limit_set(msgspec.json.decode(document))
