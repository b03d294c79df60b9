"""Normal load: half of the capacity, steadily, and what waits in the lane."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pyarrow as pa
import redis

from benchmarks.load.books import table_requests
from benchmarks.load.driving import Call, Schedule, drive
from benchmarks.load.figures import LaneSample, NormalLoad, PercentilePair
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.histograms import Durations
from risk_tasks.keys import SLOT_S
from risk_tasks.monitoring.status import read_status
from risk_tasks.queues import Lane
from risk_tasks.store.telemetry import read_backlog

SHARE = 0.5
_SAMPLE_EVERY_S = 0.1
#: workers write their measurements about once a second
_WRITTEN_WITHIN_S = 1.2
#: how long an answered check may still be counted as waiting
_SETTLED_WITHIN_S = 2.0


def measure(
    url: str, tables: Sequence[pa.Table], *, round_s: float, lasting_s: float
) -> NormalLoad:
    """Check all `tables`, one per user, at half the rate of a round that takes `round_s`."""
    every_s = round_s / SHARE
    samples: list[LaneSample] = []
    with RiskClient(url, timeout_s=lasting_s + 30) as risk, connect(url) as client:
        requests = table_requests(risk, tables)
        n_checks = sum(request()[0] for request in requests)
        _settled(client)
        schedule, over = Schedule.soon(every_s), threading.Event()
        watcher = threading.Thread(target=_watch, args=(client, schedule, over, samples))
        watcher.start()
        try:
            calls = drive(requests, schedule, lambda number: number * every_s < lasting_s)
        finally:
            over.set()
            watcher.join()
        percentiles = _by_status(client, calls, lasting_s)
        return NormalLoad(n_checks / every_s, tuple(samples), _settled(client), percentiles)


def _by_status(
    client: redis.Redis, calls: Sequence[Call], lasting_s: float
) -> tuple[PercentilePair, ...]:
    """Return what users and `status` report of the same load, by whole slots within it."""
    window_s = (lasting_s // SLOT_S - 1) * SLOT_S
    if window_s < SLOT_S:
        return ()
    own = Durations()
    for call in calls:
        own.add(call.took_s, call.n_checks)
    time.sleep(_WRITTEN_WITHIN_S)
    times = read_status(client, window_s).lanes[Lane.NORMAL.value].total
    by_percent = ((50, times.p50_ms), (95, times.p95_ms), (99, times.p99_ms))
    return tuple(
        PercentilePair(percent, (own.percentile_s(percent) or 0.0) * 1e3, status_ms or 0.0)
        for percent, status_ms in by_percent
    )


def _watch(
    client: redis.Redis, schedule: Schedule, over: threading.Event, samples: list[LaneSample]
) -> None:
    while not over.wait(_SAMPLE_EVERY_S):
        samples.append(_sample(client, schedule.first_s))


def _sample(client: redis.Redis, since_s: float) -> LaneSample:
    # Only the slots: merging all histograms of the status would take time from the users.
    lane = read_backlog(client).lanes[Lane.NORMAL]
    return LaneSample(time.perf_counter() - since_s, lane.n_checks, lane.oldest_age_s or 0.0)


def _settled(client: redis.Redis) -> int:
    """Return the checks that the lane still holds, when it is empty or after some seconds."""
    give_up_s = time.perf_counter() + _SETTLED_WITHIN_S
    while (depth := _sample(client, 0.0).depth) and time.perf_counter() < give_up_s:
        time.sleep(_SAMPLE_EVERY_S)
    return depth
