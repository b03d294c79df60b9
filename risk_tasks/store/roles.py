"""Which roles are alive: each renews an entry that outlives it by seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import redis

from risk_tasks.connection import transport_errors
from risk_tasks.lanes import ROLE_TTL_S, ROLES_KEY, role_key
from risk_tasks.store.named_hashes import read_named


@dataclass(frozen=True, slots=True)
class LiveRole:
    """A role that serves: `lanes` are joined by commas, empty for one that serves none."""

    name: str
    role: str
    lanes: str
    host: str
    pid: int


class RoleStore:
    """Announces roles and lists those that live."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def announce(self, role: LiveRole) -> None:
        """Say that `role` serves; to be repeated well within `ROLE_TTL_S`."""
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            fields: Any = asdict(role)
            pipe.hset(role_key(role.name), mapping=fields)
            pipe.expire(role_key(role.name), ROLE_TTL_S)
            pipe.sadd(ROLES_KEY, role.name)
            pipe.execute()

    def withdraw(self, role: LiveRole) -> None:
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.delete(role_key(role.name))
            pipe.srem(ROLES_KEY, role.name)
            pipe.execute()

    def live(self) -> list[LiveRole]:
        """Return the live roles by name."""
        with transport_errors(self._client):
            entries = read_named(self._client, ROLES_KEY, role_key)
        return [_read(fields) for fields in entries.values()]


def _read(fields: Mapping[str, str]) -> LiveRole:
    return LiveRole(
        name=fields["name"],
        role=fields["role"],
        lanes=fields["lanes"],
        host=fields["host"],
        pid=int(fields["pid"]),
    )
