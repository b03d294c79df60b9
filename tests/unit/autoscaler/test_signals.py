"""What the policy is shown of a status."""

from __future__ import annotations

import pytest

from risk_tasks.monitoring.status import LaneStatus, Status, Times
from risk_tasks.queues import Lane
from risk_tasks.store.recompute import LiveCounts
from workers.autoscaler.driver import Worker, idlest
from workers.autoscaler.signals import seen_of

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
        busy_by_worker=busy_by_worker or {},
        lanes={name.value: lanes.get(name.value, lane()) for name in Lane},
        live=LiveCounts(**dict.fromkeys(LiveCounts.__annotations__, 0)),
        **nothing,
    )


def test_work_is_what_waits_or_runs_times_what_a_check_costs():
    """Checks of the JSON door, which no lane counts as checks, are counted as messages."""
    told = status(normal=lane(depth=500, messages=2), batch=lane(messages=7))
    seen = seen_of(told, 0.01, WORKERS).signals

    assert seen.work_s == {
        Lane.CRITICAL: 0.0,
        Lane.NORMAL: pytest.approx(5.0),
        Lane.BATCH: pytest.approx(0.07),
    }


def test_work_is_unknown_only_where_something_waits_and_nothing_was_ever_ended():
    assert seen_of(status(normal=lane(depth=1)), None, WORKERS).signals.work_s is None
    assert set(seen_of(status(), None, WORKERS).signals.work_s.values()) == {0.0}


def test_only_the_workers_that_are_scaled_count_as_ready_and_as_busy():
    """Others serve too, such as the one of the critical lane alone."""
    busy = {
        "worker-7-ab@host-1": 0.5,
        "worker-7-cd@host-2": 1.0,
        "worker-7-ef@host-3": None,
        "worker-7-01@critical": 0.0,
    }
    told = status(busy, critical=lane(oldest_age_s=0.4))
    seen = seen_of(told, 0.01, WORKERS)

    assert (seen.signals.n_workers, seen.signals.n_ready) == (3, 3)
    assert seen.signals.busy_share == pytest.approx(0.75)
    assert seen.signals.oldest_age_s[Lane.CRITICAL] == 0.4
    assert seen.busy_by_host == {"host-1": 0.5, "host-2": 1.0, "critical": 0.0}
    nobody = seen_of(status(), 0.01, WORKERS).signals
    assert (nobody.n_ready, nobody.busy_share) == (0, None)


def test_the_idlest_goes_and_of_several_the_last_that_came():
    assert idlest(WORKERS, {"host-1": 0.1, "host-2": 0.2, "host-3": 0.3}).number == 1
    assert idlest(WORKERS, {"host-1": 0.1}).number == 3
    assert idlest(WORKERS, {}).number == 3
