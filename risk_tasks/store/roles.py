"""What each role says of itself: that it is alive, what its cache did, what it scaled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import msgspec
import redis

from risk_tasks.connection import hold_lock, text, transport_errors
from risk_tasks.errors import DecodeError
from risk_tasks.keys import (
    AUTOSCALER_KEY,
    AUTOSCALER_LOCK_KEY,
    AUTOSCALER_TTL_S,
    CACHE_COUNTS_KEY,
    CACHE_COUNTS_TTL_S,
    MARKETS_KEY,
    ROLE_TTL_S,
    ROLES_KEY,
    cache_counts_key,
    role_key,
)
from risk_tasks.scripts import Script


def read_named(
    client: redis.Redis, names_key: str, key_of: Callable[[str], str]
) -> dict[str, dict[str, str]]:
    """Return the hashes that are there by name, in the order of the names; forget the others."""
    names = sorted(map(text, cast("set[bytes]", client.smembers(names_key))))
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(key_of(name))
        entries = pipe.execute()
    found = {
        name: {text(field): text(value) for field, value in entry.items()}
        for name, entry in zip(names, entries, strict=True)
        if entry
    }
    gone = [name for name in names if name not in found]
    if gone:
        forget_gone(client, names_key, key_of, gone)
    return found


def forget_gone(
    client: redis.Redis, names_key: str, key_of: Callable[[str], str], names: Sequence[str]
) -> None:
    """Take those of `names` off their list whose hash is not there at this moment."""
    Script(client, "risk_tasks.store", "roles")(
        keys=[names_key, *map(key_of, names)], args=list(names)
    )


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


class CacheCountsStore:
    """Sums by role; those of a role that is gone stand for a day."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def add(self, name: str, counts: Mapping[str, float], state: Mapping[str, str]) -> None:
        """Add `counts` to the sums of role `name`, and say the `state` that it is in now."""
        key = cache_counts_key(name)
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            for field, count in counts.items():
                if count:
                    pipe.hincrbyfloat(key, field, count)
            if state:
                pipe.hset(key, mapping={f"state:{word}": value for word, value in state.items()})
            pipe.expire(key, CACHE_COUNTS_TTL_S)
            pipe.sadd(CACHE_COUNTS_KEY, name)
            pipe.execute()

    def sums(self) -> dict[str, float]:
        """Return the sums of all roles by field."""
        sums: dict[str, float] = {}
        for entry in self._entries().values():
            for field, value in entry.items():
                if not field.startswith("state:"):
                    sums[field] = sums.get(field, 0.0) + float(value)
        return sums

    def states(self) -> dict[str, dict[str, str]]:
        """Return by role what it said last of its state."""
        return {
            name: {
                field.removeprefix("state:"): value
                for field, value in entry.items()
                if field.startswith("state:")
            }
            for name, entry in self._entries().items()
        }

    def _entries(self) -> dict[str, dict[str, str]]:
        with transport_errors(self._client):
            return read_named(self._client, CACHE_COUNTS_KEY, cache_counts_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerReport:
    """The last step of an autoscaler; None where a number was not known.

    `oldest_age_s`: of the block that waits longest. `work_s`: seconds that one thread would need
    for all that waits or runs. `busy_share`: of the workers that it scales. `last_change`: such as
    `1 -> 2: backlog`.
    """

    name: str
    driver: str
    direction: str
    reason: str
    workers: int | None
    wanted: int | None
    min_workers: int
    max_workers: int
    oldest_age_s: float | None
    work_s: float | None
    busy_share: float | None
    last_change: str | None
    last_change_ago_s: float | None


class AutoscalerStore:
    """The report of the autoscaler, and the lock of the one that acts."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def lock(self, name: str) -> bool:
        """Return whether `name` has the lock, for the next `AUTOSCALER_TTL_S`."""
        return hold_lock(self._client, AUTOSCALER_LOCK_KEY, name, AUTOSCALER_TTL_S)

    def unlock(self, name: str) -> None:
        """Delete the lock and the report where `name` has the lock, so that another one acts."""
        if self.lock(name):
            with transport_errors(self._client):
                self._client.delete(AUTOSCALER_LOCK_KEY, AUTOSCALER_KEY)

    def write(self, report: AutoscalerReport) -> None:
        with transport_errors(self._client):
            self._client.set(AUTOSCALER_KEY, msgspec.json.encode(report), ex=AUTOSCALER_TTL_S)

    def read(self) -> AutoscalerReport | None:
        """Return the report; None where no autoscaler runs. Raises `DecodeError`."""
        with transport_errors(self._client):
            data = self._client.get(AUTOSCALER_KEY)
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=AutoscalerReport)
        except msgspec.MsgspecError as error:
            raise DecodeError(f"The report of the autoscaler cannot be read: {error}.") from error
