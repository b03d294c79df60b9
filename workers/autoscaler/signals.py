"""The signals of the policy, from the status of a running system."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from risk_tasks.monitoring.status import Status, read_status
from risk_tasks.queues import Lane
from workers.autoscaler.drivers import Worker
from workers.autoscaler.policy import Signals

#: two slots: long enough for a share of busy time, short enough to follow a step
_WINDOW_S = 10.0


class SignalReader:
    """Reads the status from the server of `client`; remembers what a check costs."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._work_per_check_s: float | None = None

    def read(self, workers: Sequence[Worker]) -> Signals:
        """Return the signals of `workers`; raises `TransportError` and `DecodeError`."""
        status = read_status(self._client, _WINDOW_S)
        if status.work_per_check_ms is not None:
            self._work_per_check_s = status.work_per_check_ms / 1e3
        return signals_of(status, self._work_per_check_s, workers)


def signals_of(
    status: Status, work_per_check_s: float | None, workers: Sequence[Worker]
) -> Signals:
    """Return the signals in `status`; a pure function."""
    # `unique_name` ends a name with @HOST.
    live = {name.rpartition("@")[2]: busy for name, busy in status.busy_by_worker.items()}
    busy_by_host = {host: busy for host, busy in live.items() if busy is not None}
    shares = [busy_by_host[one.host] for one in workers if one.host in busy_by_host]
    # JSON checks are messages that the count of checks does not include.
    checks = {Lane(name): max(lane.depth, lane.messages) for name, lane in status.lanes.items()}
    work_s = None
    if work_per_check_s is not None or not any(checks.values()):
        work_s = {lane: n * (work_per_check_s or 0.0) for lane, n in checks.items()}
    return Signals(
        n_workers=len(workers),
        n_ready=sum(one.host in live for one in workers),
        oldest_age_s={Lane(name): lane.oldest_age_s for name, lane in status.lanes.items()},
        work_s=work_s,
        busy_share=sum(shares) / len(shares) if shares else None,
        busy_by_host=busy_by_host,
    )
