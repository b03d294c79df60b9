"""Examining a running system from outside: server, roles, what is published, what is stranded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from risk_tasks.client import RiskClient
from risk_tasks.connection import connect, masked, text
from risk_tasks.errors import RiskTasksError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.monitoring.shards import read_shards
from risk_tasks.queues import SHARDED_LANES, Lane
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.roles import LiveRole, RoleStore
from risk_tasks.store.shards import ShardStore

#: the scripts need UNLINK, LPOP with a count and effects replication
_OLDEST_SERVER = (6, 2)
_CANARY_TIMEOUT_S = 2.0
_SHOWN = 8


class State(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `mend` is the line that mends it, where it is not ok."""

    what: str
    state: State
    found: str
    mend: str | None = None


def examine(url: str) -> list[Finding]:
    """Look at everything behind `url`; where the server is away, that is the one finding."""
    with connect(url) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            found = f"{masked(url)} does not answer: {error}"
            mend = "Start the server, or name it: --broker-url redis://HOST:PORT/0"
            return [Finding("server", State.BAD, found, mend)]
        return list(_examine(client, url))


def _examine(client: redis.Redis, url: str) -> Iterator[Finding]:
    yield Finding("server", State.OK, f"{masked(url)} answers")
    try:
        server: dict[str, Any] = client.info()
    except redis.ResponseError as error:
        mend = "Allow INFO to this user: ACL SETUSER NAME +info"
        yield Finding("server settings", State.WARN, f"not told: {error}", mend)
    else:
        yield _version(server)
        yield _eviction(server)
        yield _persistence(server)
    roles = RoleStore(client).live()
    yield from _roles(roles)
    market_id = MarketStore(client).current().get(DEFAULT_NAME)
    yield _published("market", market_id, "risk-tasks market publish PRICES")
    version = LimitStore(client).current().get(DEFAULT_NAME)
    yield _published("limits", version, "risk-tasks limits publish LIMITS")
    for lane in Lane:
        if any(lane in role.lanes.split(",") for role in roles):
            yield _answers(url, lane)
    yield from _shards(client)
    yield _stranded(client)


def _version(server: dict[str, Any]) -> Finding:
    name = "valkey" if "valkey_version" in server else "redis"
    version = str(server.get("valkey_version") or server["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) >= _OLDEST_SERVER:
        return Finding("server version", State.OK, f"{name} {version}")
    mend = f"Upgrade to {'.'.join(map(str, _OLDEST_SERVER))} or later."
    return Finding("server version", State.BAD, f"{name} {version}", mend)


def _eviction(server: dict[str, Any]) -> Finding:
    policy = server.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return Finding("eviction policy", State.OK, policy)
    return Finding(
        "eviction policy",
        State.BAD,
        f"{policy}: the server may throw away queued checks",
        "CONFIG SET maxmemory-policy noeviction",
    )


def _persistence(server: dict[str, Any]) -> Finding:
    if server.get("aof_enabled"):
        return Finding("persistence", State.OK, "append-only file")
    return Finding(
        "persistence",
        State.WARN,
        "no append-only file: a restart of the server loses what waits",
        "CONFIG SET appendonly yes",
    )


def _roles(roles: list[LiveRole]) -> Iterator[Finding]:
    for lane in Lane:
        serving = [role.name for role in roles if lane in role.lanes.split(",")]
        yield Finding(
            f"workers of {lane}",
            State.OK if serving else State.BAD,
            ", ".join(serving) or "none",
            None if serving else f"risk-tasks worker --lanes {lane}",
        )
    schedulers = [role.name for role in roles if role.role == "scheduler"]
    yield Finding(
        "scheduler",
        State.OK if schedulers else State.WARN,
        ", ".join(schedulers) or "none: abandoned blocks and replies stay",
        None if schedulers else "risk-tasks scheduler",
    )


def _published(what: str, version: str | None, mend: str) -> Finding:
    if version:
        return Finding(what, State.OK, version)
    return Finding(what, State.WARN, f"no {DEFAULT_NAME} one is published", mend)


def _answers(url: str, lane: Lane) -> Finding:
    """Send a check of an empty book; any report is an answer, also one that says no market."""
    try:
        with RiskClient(url, timeout_s=_CANARY_TIMEOUT_S) as risk:
            report = risk.check(Portfolio("doctor", {}), priority=lane)
    except RiskTasksError as error:
        return Finding(f"answer from {lane}", State.BAD, error.message, error.remedy)
    times = ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(report.timings.items()))
    return Finding(f"answer from {lane}", State.OK, times or report.status)


def _shards(client: redis.Redis) -> Iterator[Finding]:
    for name, lane in read_shards(client).items():
        what = f"shards of {name}"
        told = f"{len(lane.shards)} shards, {len(lane.workers)} workers"
        if not lane.orphaned:
            yield Finding(what, State.OK, f"{told}, largest share {lane.imbalance or 1:.2f}")
            continue
        n_waiting = sum(one.messages for one in lane.shards if one.worker is None)
        yield Finding(
            what,
            State.BAD if n_waiting else State.WARN,
            f"{told}; nobody leases {_listed(lane.orphaned)}, where {n_waiting} messages wait",
            f"risk-tasks worker --lanes {name}; those that died are replaced within seconds",
        )


def _listed(shards: list[int]) -> str:
    more = f" and {len(shards) - _SHOWN} more" if len(shards) > _SHOWN else ""
    return ", ".join(map(str, shards[:_SHOWN])) + more


def _stranded(client: redis.Redis) -> Finding:
    """Messages in Celery's default queue, a shard too many, or under a priority suffix.

    No worker looks there.
    """
    names = ["celery", *(lane.queue for lane in Lane)]
    found = {}
    for name in names:
        for key in client.scan_iter(match=f"{name}\x06\x16*", count=1_000):
            found[text(key).replace("\x06\x16", ":priority-")] = _length(client.llen, text(key))
    if client.exists("celery"):
        found["celery"] = _length(client.llen, "celery")
    found |= _beyond(client)
    if not found:
        return Finding("stranded messages", State.OK, "none")
    return Finding(
        "stranded messages",
        State.BAD,
        ", ".join(f"{count} in {name}" for name, count in found.items()),
        'Send with queue="risk.normal" and without priority=; then remove the keys.',
    )


def _beyond(client: redis.Redis) -> dict[str, int]:
    """Return what waits in shards that there are not, as after a number was changed by hand."""
    n_shards = ShardStore(client).count()
    found = {}
    for lane in SHARDED_LANES:
        for key in client.scan_iter(match=f"{lane.queue}.*", count=1_000):
            shard = text(key).removeprefix(f"{lane.queue}.")
            if shard.isdecimal() and (n_shards == 1 or int(shard) >= n_shards):
                found[text(key)] = _length(client.llen, text(key))
    return found


def _length(llen: Callable[[str], Any], key: str) -> int:
    return int(llen(key))
