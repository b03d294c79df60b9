"""What the policy sees of a running system: its status, as every command tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import redis

from risk_tasks.monitoring.status import Status, read_status
from risk_tasks.queues import Lane
from workers.autoscaler.driver import Worker
from workers.autoscaler.policy import Signals

#: two slots: long enough to be a share, short enough to follow a step
_WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The signals, and how busy each host of a worker is, from 0 to 1."""

    signals: Signals
    busy_by_host: dict[str, float]


class SignalReader:
    """Reads the server of `client`; what a check costs is remembered while none is ended."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._work_per_check_s: float | None = None

    def read(self, workers: Sequence[Worker]) -> Seen:
        """Return what is seen of `workers`; raises `TransportError` and `DecodeError`."""
        status = read_status(self._client, _WINDOW_S)
        if status.work_per_check_ms is not None:
            self._work_per_check_s = status.work_per_check_ms / 1e3
        return seen_of(status, self._work_per_check_s, workers)


def seen_of(status: Status, work_per_check_s: float | None, workers: Sequence[Worker]) -> Seen:
    """Return the signals in `status`; pure."""
    # Workers in containers are named so by `name_of_a_life`.
    live = {name.rpartition("@")[2]: busy for name, busy in status.busy_by_worker.items()}
    busy_by_host = {host: busy for host, busy in live.items() if busy is not None}
    shares = [busy_by_host[one.host] for one in workers if one.host in busy_by_host]
    # Messages of the JSON door are in no lane's count of checks.
    checks = {Lane(name): max(lane.depth, lane.messages) for name, lane in status.lanes.items()}
    work_s = None
    if work_per_check_s is not None or not any(checks.values()):
        work_s = {lane: n * (work_per_check_s or 0.0) for lane, n in checks.items()}
    signals = Signals(
        n_workers=len(workers),
        n_ready=sum(one.host in live for one in workers),
        oldest_age_s={Lane(name): lane.oldest_age_s for name, lane in status.lanes.items()},
        work_s=work_s,
        busy_share=sum(shares) / len(shares) if shares else None,
    )
    return Seen(signals, busy_by_host)
