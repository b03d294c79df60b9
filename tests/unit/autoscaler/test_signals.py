"""The signals in a status, and which worker is idlest."""

from __future__ import annotations

import pytest

from risk_tasks.monitoring.status import LaneStatus, Status, Times
from risk_tasks.queues import Lane
from risk_tasks.store.recompute import LiveCounts
from workers.autoscaler.autoscaler import signals_of
from workers.autoscaler.drivers import Worker, idlest

NOTHING = Times(avg_ms=None, p50_ms=None, p95_ms=None, p99_ms=None)
WORKERS = [Worker(f"id-{n}", f"worker_{n}", f"host-{n}", n) for n in (1, 2, 3)]


def lane(depth: int = 0, messages: int = 0, oldest_age_s: float | None = None) -> LaneStatus:
    zeros = dict.fromkeys(
        ["depth_bytes", "workers", "count", "errors", "unanswered"], 0
    ) | dict.fromkeys(["capacity", "capacity_bytes"], 1)
    return LaneStatus(
        depth=depth,
        messages=messages,
        oldest_age_s=oldest_age_s,
        queued=NOTHING,
        compute=NOTHING,
        total=NOTHING,
        **zeros,
    )


def status(busy_by_worker: dict[str, float | None] | None = None, **lanes: LaneStatus) -> Status:
    nothing = {
        name: None
        for name, kind in Status.__annotations__.items()
        if "None" in kind and name not in {"autoscaler", "busy_by_worker"}
    }
    return Status(
        window_s=10.0,
        count=0,
        workers=0,
        schedulers=0,
        dead_letters=0,
        markets={},
        limit_sets={},
        busy_by_worker=busy_by_worker or {},
        kernels_by_worker={},
        lanes={name.value: lanes.get(name.value, lane()) for name in Lane},
        live=LiveCounts(**dict.fromkeys(LiveCounts.__annotations__, 0)),
        **nothing,
    )


def test_work_is_the_number_of_checks_times_the_cost_of_one():
    """JSON checks, which a lane does not count as checks, are counted as messages."""
    measured = status(normal=lane(depth=500, messages=2), batch=lane(messages=7))
    found = signals_of(measured, 0.01, WORKERS)

    assert found.work_s == {
        Lane.CRITICAL: 0.0,
        Lane.NORMAL: pytest.approx(5.0),
        Lane.BATCH: pytest.approx(0.07),
    }


def test_work_is_unknown_while_checks_wait_and_none_was_ever_finished():
    assert signals_of(status(normal=lane(depth=1)), None, WORKERS).work_s is None
    assert set(signals_of(status(), None, WORKERS).work_s.values()) == {0.0}


def test_only_scaled_workers_count_as_ready_and_busy():
    """Other workers do not, such as the one that serves only the critical lane."""
    busy = {
        "worker-7-ab@host-1": 0.5,
        "worker-7-cd@host-2": 1.0,
        "worker-7-ef@host-3": None,
        "worker-7-01@critical": 0.0,
    }
    measured = status(busy, critical=lane(oldest_age_s=0.4))
    found = signals_of(measured, 0.01, WORKERS)

    assert (found.n_workers, found.n_ready) == (3, 3)
    assert found.busy_share == pytest.approx(0.75)
    assert found.oldest_age_s[Lane.CRITICAL] == 0.4
    assert found.busy_by_host == {"host-1": 0.5, "host-2": 1.0, "critical": 0.0}
    idle = signals_of(status(), 0.01, WORKERS)
    assert (idle.n_ready, idle.busy_share) == (0, None)


def test_the_idlest_worker_is_the_newest_among_equals():
    assert idlest(WORKERS, {"host-1": 0.1, "host-2": 0.2, "host-3": 0.3}).number == 1
    assert idlest(WORKERS, {"host-1": 0.1}).number == 3
    assert idlest(WORKERS, {}).number == 3
