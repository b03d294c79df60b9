"""Workers whose kernels are not compiled yet: what they serve, and what waits."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from risk_tasks import Portfolio
from risk_tasks.kernels.cache import Cache
from risk_tasks.kernels.catalogue import kernels
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.monitoring.status import KernelCount, read_status
from risk_tasks.store.roles import RoleStore
from tests.integration.support import REPOSITORY, Server, ended, running, wait_until
from tests.integration.test_roles import STARTS_WITHIN_S, events, role_of

pytestmark = pytest.mark.integration

COMPILES_WITHIN_S = 180
N_STANDARD, N_KERNELS = len(kernels()[0]), sum(map(len, kernels()))
BOOK = Portfolio("book", {"AAPL": 100.0, "MSFT": -50.0})
MONTE_CARLO = "monte_carlo_value_at_risk"
COMPILE_STANDARD = """
from risk_tasks.kernels.cache import FOLDER, Cache
from risk_tasks.kernels.catalogue import compile_one, kernels
print(sum(compile_one(one, Cache(FOLDER)) for one in kernels()[0]))
"""


def settings_of(server: Server, folder: Path, **more: str) -> dict[str, str]:
    return {"RISK_TASKS_BROKER_URL": server.url, "NUMBA_CACHE_DIR": str(folder), **more}


def n_ready(server: Server, pid: int) -> int:
    role = role_of(server, pid)
    return role.kernels_ready if role else 0


def test_a_worker_with_an_empty_cache_serves_standard_checks_and_then_the_others(
    server, clients, market, limit_set, tmp_path
):
    """The second start compiles nothing."""
    log, folder = tmp_path / "worker.log", tmp_path / "cache"
    settings = settings_of(server, folder)
    risk = clients(server.url, timeout_s=COMPILES_WITHIN_S)
    risk.publish_market(market)

    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as worker:
        assert risk.check(BOOK, limits=limit_set).status == "ok"
        ready = n_ready(server, worker.pid)
        assert N_STANDARD <= ready < N_KERNELS
        (shown,) = read_status(server.client).kernels_by_worker.values()
        assert shown.total == N_KERNELS
        assert shown.ready >= ready

        assert risk.check(BOOK, measures=[MONTE_CARLO]).measures[MONTE_CARLO].status == "ok"
        wait_until(lambda: n_ready(server, worker.pid) == N_KERNELS, COMPILES_WITHIN_S)
        assert list(read_status(server.client).kernels_by_worker.values()) == [
            KernelCount(ready=N_KERNELS, total=N_KERNELS)
        ]
        assert ended(worker, log) == 0
    logged = events(log)
    assert (
        logged.index("worker.compiling")
        < logged.index("worker.compiled")
        < logged.index("worker.ready")
        < logged.index("worker.kernels_ready")
    )
    assert f'"compiled": {N_STANDARD}, "kernels_ready": {N_STANDARD}' in log.read_text()

    again = tmp_path / "again.log"
    with running("-m", "workers", log=again, cwd=REPOSITORY, settings=settings) as worker:
        wait_until(lambda: role_of(server, worker.pid), STARTS_WITHIN_S)
        assert n_ready(server, worker.pid) == N_KERNELS
        assert ended(worker, again) == 0
    assert f'"compiled": 0, "kernels_ready": {N_KERNELS}' in again.read_text()


@pytest.fixture
def standard_only(tmp_path):
    """A cache with the standard set, and the lock that keeps workers from compiling the rest."""
    folder = tmp_path / "cache"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", COMPILE_STANDARD], check=True, env=environment)
    (versioned,) = folder.glob("kernels-*")
    with Cache(versioned).lock() as lock:
        yield folder, lock


def test_a_check_whose_kernel_is_not_compiled_by_its_deadline_is_not_in_time(
    server, clients, market, standard_only, tmp_path
):
    """It is never accepted, other checks go on, and a later check waits until it is answered."""
    log, (folder, lock) = tmp_path / "worker.log", standard_only
    settings = settings_of(server, folder, RISK_TASKS_CONCURRENCY="2")
    risk = clients(server.url, timeout_s=4)
    patient = clients(server.url, timeout_s=COMPILES_WITHIN_S)
    risk.publish_market(market)
    limits = LimitSet("hard", [Limit(MONTE_CARLO, hard=1e12)])

    with (
        running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as worker,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until(lambda: RoleStore(server.client).running(), STARTS_WITHIN_S)
        # The first call of a client imports and connects, which takes a part of its timeout.
        assert risk.check(BOOK).status == "ok"
        late = pool.submit(risk.check, BOOK, measures=["market_value"], limits=limits)
        assert risk.check(BOOK).status == "ok"
        assert not late.done()

        report = late.result()
        assert report.measures["market_value"].status == "ok"
        measure = report.measures[MONTE_CARLO]
        assert (measure.status, measure.reason, measure.value) == ("error", "not_in_time", None)
        assert report.decision == "reject"

        # Missing headroom would look like unlimited headroom.
        bounded = LimitSet("room", [Limit("expected_shortfall", hard=1e12)])
        report = risk.check(BOOK, limits=bounded, explain=True)
        assert (report.status, report.decision) == ("error", "reject")
        assert report.error.code == "not_in_time"

        again = pool.submit(patient.check, BOOK, limits=limits)
        lock.close()
        report = again.result()
        assert (report.decision, report.measures[MONTE_CARLO].status) == ("accept", "ok")
        assert ended(worker, log) == 0
