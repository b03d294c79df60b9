"""Entries of roles: that they run, what their caches did, and the report of the autoscaler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import msgspec
import redis

from risk_tasks.connection import Store, hold_lock, text
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
    probe_key,
    role_key,
)
from risk_tasks.scripts import Script
from risk_tasks.wire.framing import decoding


@dataclass(frozen=True, slots=True)
class RunningRole:
    """A role that is running; `lanes` are joined by commas, empty if it serves none.

    `kernels` counts the kernels of a worker, `kernels_ready` those that are compiled.
    """

    name: str
    role: str
    lanes: str
    host: str
    pid: int
    kernels_ready: int = 0
    kernels: int = 0

    def serves(self, lane: str) -> bool:
        """Return whether the role takes messages of `lane`."""
        return lane in self.lanes.split(",")


class RoleStore(Store):
    """Announces roles and lists those that are running."""

    def announce(self, role: RunningRole) -> None:
        """Write the entry of `role`, which expires unless it is renewed."""
        with self._client.pipeline(transaction=True) as pipe:
            fields: Any = asdict(role)
            pipe.hset(role_key(role.name), mapping=fields)
            pipe.expire(role_key(role.name), ROLE_TTL_S)
            pipe.sadd(ROLES_KEY, role.name)
            pipe.execute()

    def renew(self, role: RunningRole) -> None:
        """Renew the entry of `role`; call it well within `ROLE_TTL_S`.

        One command, unless the entry has expired and is written again.
        """
        if not self._client.expire(role_key(role.name), ROLE_TTL_S):
            self.announce(role)

    def probe(self, name: str) -> None:
        """Write a key of the role; a server that takes no writes refuses it."""
        self._client.set(probe_key(name), 1, ex=ROLE_TTL_S)

    def renew_and_read_markets(self, role: RunningRole) -> dict[str, str]:
        """Renew, and return the id of the current market of each name, in one round trip."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.expire(role_key(role.name), ROLE_TTL_S)
            pipe.hgetall(MARKETS_KEY)
            is_there, names = pipe.execute()
        if not is_there:
            self.announce(role)
        return {text(name): text(market_id) for name, market_id in names.items()}

    def withdraw(self, role: RunningRole) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(role_key(role.name))
            pipe.srem(ROLES_KEY, role.name)
            pipe.execute()

    def running(self) -> list[RunningRole]:
        """Return the running roles in the order of their names."""
        entries = _read_named(self._client, ROLES_KEY, role_key)
        return [msgspec.convert(fields, RunningRole, strict=False) for fields in entries.values()]


class CacheCountsStore(Store):
    """Sums of cache counters by role; they expire a day after the last change."""

    def add(self, name: str, counts: Mapping[str, float], state: Mapping[str, str]) -> None:
        """Add `counts` to the sums of role `name`, and replace its `state`."""
        key = cache_counts_key(name)
        with self._client.pipeline(transaction=True) as pipe:
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
        """Return the last state of each role by field."""
        return {
            name: {
                field.removeprefix("state:"): value
                for field, value in entry.items()
                if field.startswith("state:")
            }
            for name, entry in self._entries().items()
        }

    def _entries(self) -> dict[str, dict[str, str]]:
        return _read_named(self._client, CACHE_COUNTS_KEY, cache_counts_key)


def _read_named(
    client: redis.Redis, names_key: str, key_of: Callable[[str], str]
) -> dict[str, dict[str, str]]:
    """Return the hashes whose names are in a set, sorted by name; SCAN would read every key.

    Names whose hash is gone are removed from the set.
    """
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
    if gone := [name for name in names if name not in found]:
        forget_gone(client, names_key, key_of, gone)
    return found


def forget_gone(
    client: redis.Redis, names_key: str, key_of: Callable[[str], str], names: Sequence[str]
) -> None:
    """Remove `names` from their set, except those whose hash exists again."""
    Script(client, "risk_tasks.store", "roles")(
        keys=[names_key, *map(key_of, names)], args=list(names)
    )


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


class AutoscalerStore(Store):
    """The report of the autoscaler, and the lock of the one that acts."""

    def lock(self, name: str) -> bool:
        """Return whether `name` has the lock, for the next `AUTOSCALER_TTL_S`."""
        return hold_lock(self._client, AUTOSCALER_LOCK_KEY, name, AUTOSCALER_TTL_S)

    def unlock(self, name: str) -> None:
        """Delete the lock and the report where `name` has the lock, so that another one acts."""
        if self.lock(name):
            self._client.delete(AUTOSCALER_LOCK_KEY, AUTOSCALER_KEY)

    def write(self, report: AutoscalerReport) -> None:
        self._client.set(AUTOSCALER_KEY, msgspec.json.encode(report), ex=AUTOSCALER_TTL_S)

    def read(self) -> AutoscalerReport | None:
        """Return the report; None where no autoscaler runs. Raises `DecodeError`."""
        data = self._client.get(AUTOSCALER_KEY)
        if data is None:
            return None
        with decoding("report of the autoscaler"):
            return msgspec.json.decode(data, type=AutoscalerReport)
