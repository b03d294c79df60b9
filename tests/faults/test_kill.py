"""Workers are killed at random moments: no check is lost, and no caller gets two answers."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from risk_tasks.errors import RiskTasksError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from tests.faults.oracle import Oracle
from tests.faults.system import System, pause, running_system, seconds
from tests.integration.support import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2_400)]


def test_rounds_of_killed_workers_lose_nothing(
    system: System,
    oracle: Oracle,
    portfolios: list[Portfolio],
    sized: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    """Half of the workers die in a stopped fetch, half at a random moment."""
    chance = random.Random(3)
    recoveries: list[float] = []

    for number in range(sized(20, 200)):
        stopped_in_fetch = number % 2 == 0
        if stopped_in_fetch:
            system.pause_worker_in_fetch()
        chunks = [portfolios[start : start + 50] for start in range(0, 200, 50)]
        handles = [system.risk.submit(chunk) for chunk in chunks]
        time.sleep(0.02 if stopped_in_fetch else chance.uniform(0, 0.05))
        killed_at = time.monotonic()
        system.kill_worker()
        for chunk, handle in zip(chunks, handles, strict=True):
            oracle.judge(chunk, handle.result(timeout_s=30))
        recoveries.append(seconds(killed_at))

    figures(
        **oracle.verdict(),
        recovery_median_s=statistics.median_high(recoveries),
        recovery_max_s=max(recoveries),
    )
    assert oracle.lost == []
    assert oracle.wrong == []
    assert statistics.median_high(recoveries) <= 5
    assert system.counter("dead") == 0
    assert system.counter("requeued") > 0
    system.assert_counters_match_a_recount()


def test_without_the_reaper_the_same_fault_loses_a_check(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """Without a scheduler there is no reaper; this shows that the reaper saves the check."""
    with running_system(tmp_path, n_workers=1, scheduler=False) as system:
        system.risk.publish_market(market)
        system.risk.check_many(portfolios[:1])
        system.pause_worker_in_fetch()
        handle = system.risk.submit(portfolios[:10])
        wait_until(lambda: system.redis.llen("risk.normal") == 0, 5, "the fetch")
        system.kill_worker()
        system.await_roles()

        system.risk.check_many(portfolios[:1])
        with pytest.raises(RiskTasksError):
            handle.result(timeout_s=6)


def test_a_block_that_kills_its_workers_becomes_a_dead_letter_with_its_bytes(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """It is requeued three times, and other blocks are answered meanwhile."""
    program = POISONED.format(poison=portfolios[0].id)
    with running_system(tmp_path, n_workers=1, program=program) as system:
        system.risk.publish_market(market)
        handle = system.risk.submit(portfolios[:1], timeout_s=60)

        def revived() -> bool:
            if not system.worker.is_alive:
                system.worker.restart()
            return system.counter("dead") == 1

        wait_until(revived, 60, "a dead letter")
        if not system.worker.is_alive:
            system.worker.restart()

        with pytest.raises(RiskTasksError, match="its workers died"):
            handle.result(timeout_s=10)
        assert system.counter("requeued") == 3
        assert system.risk.check_many(portfolios[1:3], timeout_s=30)[0].status == "ok"
        (letter,) = system.redis.zrange("risk:dead", 0, -1)
        assert portfolios[0].id.encode() in system.redis.get(b"risk:payload:" + letter)
        system.assert_counters_match_a_recount()


#: a worker that dies of one portfolio, as by a segmentation fault in a kernel
POISONED = """
import os, signal, sys
from risk_tasks.cli import main
from risk_tasks.service import pipeline

validate = pipeline.validate

def deadly(request, market):
    if "{poison}" in request.portfolio_ids.to_pylist():
        os.kill(os.getpid(), signal.SIGKILL)
    return validate(request, market)

pipeline.validate = deadly
sys.argv = ["risk-tasks", "worker"]
main()
"""


def test_waiting_blocks_are_not_requeued(
    system: System, oracle: Oracle, portfolios: list[Portfolio]
) -> None:
    """Blocks that wait longer than any grace stay in their lane, and are answered once."""
    pause(system.worker)
    handles = [system.risk.submit(portfolios[:20], timeout_s=60) for _ in range(8)]
    # Longer than the entry of the worker lives, and than many rounds of the reaper.
    wait_until(lambda: not system.redis.keys("risk:role:worker*"), 10, "the entry to expire")
    first_requeued = system.counter("requeued")
    waiting = system.redis.llen("risk.normal")

    os.kill(system.worker.pid, signal.SIGCONT)

    for handle in handles:
        oracle.judge(portfolios[:20], handle.result(timeout_s=30))
    assert waiting >= 7
    assert first_requeued <= 1
    # Beside the one in its fetch: the blocks that the worker starts before it renews its entry.
    assert system.counter("requeued") <= 2
    assert system.counter("dead") == 0
    assert oracle.verdict() == {"accepted": 160, "answered": 160, "lost": 0, "wrong": 0}
