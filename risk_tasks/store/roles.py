"""Which roles are alive: each renews an entry that outlives it by seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import MARKETS_KEY, ROLE_TTL_S, ROLES_KEY, role_key
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
        """Say that `role` serves, and what it is; `renew` says it again."""
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            fields: Any = asdict(role)
            pipe.hset(role_key(role.name), mapping=fields)
            pipe.expire(role_key(role.name), ROLE_TTL_S)
            pipe.sadd(ROLES_KEY, role.name)
            pipe.execute()

    def renew(self, role: LiveRole) -> None:
        """Say again that `role` serves; to be repeated well within `ROLE_TTL_S`.

        One command; all of it is said again where the entry is gone.
        """
        with transport_errors(self._client):
            is_there = self._client.expire(role_key(role.name), ROLE_TTL_S)
        if not is_there:
            self.announce(role)

    def renew_and_look(self, role: LiveRole) -> dict[str, str]:
        """Do so, and return the id of the current market of each name, in one round trip."""
        with transport_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.expire(role_key(role.name), ROLE_TTL_S)
            pipe.hgetall(MARKETS_KEY)
            is_there, names = pipe.execute()
        if not is_there:
            self.announce(role)
        return {text(name): text(market_id) for name, market_id in names.items()}

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
