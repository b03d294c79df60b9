"""A flood of the batch lane is refused and hardly slows critical checks."""

from __future__ import annotations

import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from risk_tasks import RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.errors import QueueFullError, QuotaExceededError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import LANE_CAPACITY, Lane, LaneCapacity
from risk_tasks.store.quotas import QuotaStore
from tests.faults.system import System, pause
from tests.integration.support import running, unique, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

CAPACITY = 20_000
#: pairs of idle and flooded runs; the median ratio is compared with the bar
N_ROUNDS = 3


def _p99_ms(risk: RiskClient, portfolio: Portfolio, n_checks: int) -> float:
    took = []
    for _ in range(n_checks):
        started = time.perf_counter()
        assert risk.check(portfolio, priority="critical").status == "ok"
        took.append((time.perf_counter() - started) * 1e3)
    return float(np.percentile(took, 99))


@contextmanager
def _flood(url: str, folder: Path) -> Iterator[Path]:
    """Send twice the batch lane's capacity, repeatedly, from another process."""
    report = folder / "flood.json"
    arguments = ["-c", FLOOD, url, str(report), str(CAPACITY)]
    with running(*arguments, log=folder / "flood.log", settings={}):
        wait_until(report.exists, 30, "a flood")
        yield report


FLOOD = """
import json, sys, time
from pathlib import Path
from risk_tasks import Portfolio, QueueFullError, RiskClient, queues

url, report, capacity = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
queues.LANE_CAPACITY[queues.Lane.BATCH] = queues.LaneCapacity(capacity, 1 << 30)
book = [Portfolio(f"flood-{n}", {"AAPL": 1.0 + n, "XOM": -2.0}) for n in range(1_000)]
counts = {"accepted": 0, "refused": 0}
with RiskClient(url) as risk:
    while True:
        for _ in range(2 * capacity // len(book)):
            try:
                risk.submit(book, priority="batch", timeout_s=600)
                counts["accepted"] += 1
            except QueueFullError as error:
                counts["refused"] += 1
                time.sleep(min(error.retry_after_s, 0.05))
        draft = report.with_suffix(".new")
        draft.write_text(json.dumps(counts))
        draft.replace(report)
"""


def test_urgent_checks_keep_their_latency_while_the_batch_lane_is_flooded(
    market: MarketSnapshot,
    portfolios: list[Portfolio],
    tmp_path: Path,
    sized: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    n_checks = sized(300, 2_000)
    plan = FleetPlan(n_workers=1, critical_worker=True, scheduler=True)
    with running_fleet(plan) as fleet, RiskClient(fleet.url, timeout_s=20) as risk:
        risk.publish_market(market)
        _p99_ms(risk, portfolios[0], 50)
        idle_ms, flooded_ms = [], []
        for number in range(N_ROUNDS):
            idle_ms.append(_p99_ms(risk, portfolios[0], n_checks))
            folder = tmp_path / str(number)
            folder.mkdir()
            with _flood(fleet.url, folder) as report:
                flooded_ms.append(_p99_ms(risk, portfolios[0], n_checks))
                counts = json.loads(report.read_text())

    ratios = [flooded / idle for flooded, idle in zip(flooded_ms, idle_ms, strict=True)]
    figures(idle_p99_ms=idle_ms, flooded_p99_ms=flooded_ms, ratios=ratios, **counts)
    assert counts["refused"] > 0
    assert statistics.median_high(ratios) <= 3


def test_a_full_lane_refuses_with_its_depth_and_a_retry_time(
    system: System, portfolios: list[Portfolio], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LANE_CAPACITY, Lane.BATCH, LaneCapacity(250, 1 << 30))
    pause(system.worker)
    waiting = system.risk.submit(portfolios, priority="batch")

    with pytest.raises(QueueFullError) as refused:
        system.risk.check_many(portfolios, priority="batch")
    system.assert_counters_match_a_recount()
    os.kill(system.worker.pid, signal.SIGCONT)

    assert (refused.value.depth, refused.value.capacity) == (200, 250)
    assert 0.05 <= refused.value.retry_after_s <= 5
    assert refused.value.retriable
    assert len(waiting.result(timeout_s=20)) == 200
    system.assert_counters_match_a_recount()


def test_a_lane_is_bounded_in_bytes_too(
    system: System, portfolios: list[Portfolio], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LANE_CAPACITY, Lane.BATCH, LaneCapacity(1_000_000, 500))
    pause(system.worker)
    system.risk.submit(portfolios, priority="batch")

    with pytest.raises(QueueFullError, match="bytes"):
        system.risk.check_many(portfolios, priority="batch")
    os.kill(system.worker.pid, signal.SIGCONT)


def test_a_client_over_its_quota_is_refused_and_never_moved_to_another_lane(
    system: System, portfolios: list[Portfolio]
) -> None:
    name = unique("orders")
    QuotaStore(system.redis).set(name, 10)

    with RiskClient(system.server.url, client_name=name, timeout_s=10) as risk:
        for portfolio in portfolios[:8]:
            assert risk.check(portfolio, priority="critical").status == "ok"
        with pytest.raises(QuotaExceededError) as refused:
            risk.check_many(portfolios[:10], priority="critical")
        assert risk.check_many(portfolios[:50], priority="normal")[0].status == "ok"

    assert refused.value.checks_per_s == 10
    assert 0 < refused.value.retry_after_s <= 1
    assert system.risk.check(portfolios[0], priority="critical").status == "ok"


def test_the_batch_lane_moves_while_the_others_are_never_empty(
    system: System, portfolios: list[Portfolio]
) -> None:
    """A fixed share of the fetches reads the last lane first."""
    system.pause_worker_in_fetch()
    normal = [system.risk.submit(portfolios, timeout_s=60) for _ in range(200)]
    batch = system.risk.submit(portfolios[:1], priority="batch", timeout_s=60)

    system.kill_worker()

    batch.result(timeout_s=60)
    waiting = system.redis.llen(Lane.NORMAL.queue)
    for handle in normal:
        handle.result(timeout_s=60)
    assert waiting > 50
