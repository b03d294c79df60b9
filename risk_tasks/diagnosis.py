"""Examines a running system: server, roles, published data, shards, stranded messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from risk_tasks.client import RiskClient
from risk_tasks.connection import connect, is_silent, remedy_of, text
from risk_tasks.errors import RiskTasksError
from risk_tasks.keys import DEFAULT_NAME, DOCTOR_KEY
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.quality import DataFinding
from risk_tasks.monitoring.status import read_shards
from risk_tasks.queues import SHARDED_LANES, Lane
from risk_tasks.server_url import masked
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.roles import RoleStore, RunningRole
from risk_tasks.store.shards import ShardStore
from risk_tasks.store.telemetry import LimitWork, SlotStore

#: the Lua scripts need UNLINK, LPOP with a count, and effects replication
_OLDEST_SERVER = (6, 2)
_CANARY_TIMEOUT_S = 2.0
_NO_LIMITS = LimitSet("doctor", [])
_SHOWN = 8
#: what Celery puts between the name of a queue and a priority
_PRIORITY = "\x06\x16"


class State(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one subject; `remedy` is the command that repairs it, None where it is ok."""

    subject: str
    state: State
    found: str
    remedy: str | None = None


def examine(url: str) -> list[Finding]:
    """Examine the system at `url`; an unreachable server is the only finding."""
    with connect(url) as client:
        try:
            client.ping()
            # A write too: a replica and a full server answer reads.
            client.set(DOCTOR_KEY, "", ex=1)
        except redis.RedisError as error:
            return [_unusable(url, error)]
        return list(_examine(client, url))


def _unusable(url: str, error: redis.RedisError) -> Finding:
    """Return the finding for a server that does not answer, or does not take a write."""
    silent = is_silent(error)
    found = f"{masked(url)} {'does not answer' if silent else 'refuses writes'}: {error}"
    start = "Start the server, or give another URL: --broker-url redis://HOST:PORT/0"
    remedy = remedy_of(error) or (start if silent else "Fix the server; its log says more.")
    return Finding("server", State.BAD, found, remedy)


def _examine(client: redis.Redis, url: str) -> Iterator[Finding]:
    yield Finding("server", State.OK, f"{masked(url)} answers and takes writes")
    try:
        server: dict[str, Any] = client.info()
    except redis.ResponseError as error:
        remedy = "Allow INFO to this user: ACL SETUSER NAME +info"
        yield Finding("server settings", State.WARN, f"INFO is refused: {error}", remedy)
    else:
        yield _version(server)
        yield _eviction(server)
        yield _persistence(server)
    roles = RoleStore(client).running()
    yield from _roles(roles)
    markets = MarketStore(client)
    market_id = markets.current().get(DEFAULT_NAME)
    yield _published("market", market_id, "risk-tasks market publish PRICES")
    if market_id:
        yield _prices(markets.findings(market_id))
    version = LimitStore(client).current().get(DEFAULT_NAME)
    yield _published("limits", version, "risk-tasks limits publish LIMITS")
    if version:
        yield _unmatched(SlotStore(client).matches(version))
    for lane in Lane:
        if any(role.serves(lane) for role in roles):
            yield _answers(url, lane)
    yield from _shards(client)
    yield _stranded(client)


def _version(server: dict[str, Any]) -> Finding:
    name = "valkey" if "valkey_version" in server else "redis"
    version = str(server.get("valkey_version") or server["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) >= _OLDEST_SERVER:
        return Finding("server version", State.OK, f"{name} {version}")
    remedy = f"Upgrade to {'.'.join(map(str, _OLDEST_SERVER))} or later."
    return Finding("server version", State.BAD, f"{name} {version}", remedy)


def _eviction(server: dict[str, Any]) -> Finding:
    policy = server.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return Finding("eviction policy", State.OK, policy)
    return Finding(
        "eviction policy",
        State.BAD,
        f"{policy}: the server may delete queued checks",
        "CONFIG SET maxmemory-policy noeviction",
    )


def _persistence(server: dict[str, Any]) -> Finding:
    if server.get("aof_enabled"):
        return Finding("persistence", State.OK, "append-only file")
    return Finding(
        "persistence",
        State.WARN,
        "no append-only file: a restart of the server loses the queued checks",
        "CONFIG SET appendonly yes",
    )


def _roles(roles: list[RunningRole]) -> Iterator[Finding]:
    for lane in Lane:
        serving = [role.name for role in roles if role.serves(lane)]
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
        ", ".join(schedulers) or "none: abandoned blocks and replies remain",
        None if schedulers else "risk-tasks scheduler",
    )


def _published(subject: str, version: str | None, remedy: str) -> Finding:
    if version:
        return Finding(subject, State.OK, version)
    return Finding(subject, State.WARN, f"none is published as {DEFAULT_NAME!r}", remedy)


def _prices(findings: Sequence[DataFinding]) -> Finding:
    if not findings:
        return Finding("prices", State.OK, "nothing looks wrong")
    found = f"look wrong: {_listed(findings)}"
    return Finding("prices", State.WARN, found, "risk-tasks market show")


def _answers(url: str, lane: Lane) -> Finding:
    """Check an empty portfolio; any report is an answer, also an error report."""
    try:
        with RiskClient(url, timeout_s=_CANARY_TIMEOUT_S) as risk:
            # Its own limits, so that this check is not counted as one of the published limits.
            report = risk.check(Portfolio("doctor", {}), limits=_NO_LIMITS, priority=lane)
    except RiskTasksError as error:
        return Finding(f"answer from {lane}", State.BAD, error.message, error.remedy)
    times = ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(report.timings.items()))
    return Finding(f"answer from {lane}", State.OK, times or report.status)


def _unmatched(work: LimitWork) -> Finding:
    """Find limits of the default set that apply to no check since they were published."""
    subject, counted = "limits applied", f"{work.n_checks:,} checks since publication"
    if not work.unmatched:
        return Finding(subject, State.OK, counted)
    return Finding(
        subject,
        State.WARN,
        f"{counted}, none of them for: {_listed(work.unmatched)}",
        "Compare applies_to with the tags and ids of portfolios: risk-tasks limits show",
    )


def _shards(client: redis.Redis) -> Iterator[Finding]:
    for name, lane in read_shards(client).items():
        subject = f"shards of {name}"
        counts = f"{len(lane.shards)} shards, {len(lane.workers)} workers"
        if not lane.orphaned:
            yield Finding(subject, State.OK, f"{counts}, largest share {lane.imbalance or 1:.2f}")
            continue
        n_waiting = sum(one.messages for one in lane.shards if one.worker is None)
        yield Finding(
            subject,
            State.BAD if n_waiting else State.WARN,
            f"{counts}; no worker leases {_listed(lane.orphaned)}, with {n_waiting} messages",
            f"risk-tasks worker --lanes {name}; dead workers are replaced within seconds",
        )


def _listed(names: Sequence[object]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more


def _stranded(client: redis.Redis) -> Finding:
    """Find messages that no worker reads.

    They are in the default queue of Celery, in a shard that does not exist, or under a priority
    suffix.
    """
    keys: list[str] = []
    for name in ("celery", *(lane.queue for lane in Lane)):
        keys += map(text, client.scan_iter(match=f"{name}{_PRIORITY}*", count=1_000))
    if client.exists("celery"):
        keys.append("celery")
    # SCAN may return a key twice.
    counts = {key: client.llen(key) for key in (*keys, *_beyond(client))}
    if not counts:
        return Finding("stranded messages", State.OK, "none")
    return Finding(
        "stranded messages",
        State.BAD,
        ", ".join(f"{n} in {key.replace(_PRIORITY, ':priority-')}" for key, n in counts.items()),
        'Send with queue="risk.normal" and without priority=; then delete the keys.',
    )


def _beyond(client: redis.Redis) -> Iterator[str]:
    """Yield the keys of shards beyond the stored number of shards."""
    n_shards = ShardStore(client).count()
    for lane in SHARDED_LANES:
        for key in map(text, client.scan_iter(match=f"{lane.queue}.*", count=1_000)):
            shard = key.removeprefix(f"{lane.queue}.")
            if shard.isdecimal() and (n_shards == 1 or int(shard) >= n_shards):
                yield key
