"""A fault of the server ends no role, and all serve within 5 s after it."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import RoleProcess, free_port
from risk_tasks.errors import RiskTasksError
from risk_tasks.keys import REAPER_LOCK_KEY
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.store.roles import RoleStore
from tests.faults.system import FaultyServer, System, pause, running_system, seconds
from tests.integration.support import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

LOCK = "redbeat::lock"
LOCK_S, LOOP_S = 10, 2
BACK_WITHIN_S = 5.0

Fault = Callable[[System, Path], AbstractContextManager[None]]


@contextmanager
def restart(system: System, folder: Path) -> Iterator[None]:
    system.server.kill()
    time.sleep(3)
    yield
    system.server.restart()


@contextmanager
def paused_clients(system: System, folder: Path) -> Iterator[None]:
    """Longer than the lock lives."""
    system.redis.execute_command("CLIENT", "PAUSE", "12000", "ALL")
    time.sleep(12)
    yield


@contextmanager
def stopped_server(system: System, folder: Path) -> Iterator[None]:
    os.kill(system.server.pid, signal.SIGSTOP)
    time.sleep(15)
    yield
    os.kill(system.server.pid, signal.SIGCONT)


@contextmanager
def read_only(system: System, folder: Path) -> Iterator[None]:
    """The primary is demoted: it refuses writes, and the roles stay connected to it."""
    # A replica of a primary that is away keeps its data.
    system.redis.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
    time.sleep(6)
    yield
    system.redis.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def disk_error(system: System, folder: Path) -> Iterator[None]:
    """A snapshot cannot be written: MISCONF."""
    in_the_way = folder / "server" / "dump.rdb"
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    (in_the_way / "file").touch()
    system.redis.config_set("save", "3600 1")
    with suppress(redis.ResponseError):
        system.redis.bgsave()
    wait_until(lambda: snapshot_status(system) == "err", 10, "a failed snapshot")
    time.sleep(6)
    yield
    (in_the_way / "file").unlink()
    in_the_way.rmdir()
    system.redis.bgsave()
    wait_until(lambda: snapshot_status(system) == "ok", 10, "a snapshot")


def snapshot_status(system: System) -> str:
    return str(system.redis.info("persistence")["rdb_last_bgsave_status"])


@contextmanager
def memory_full(system: System, folder: Path) -> Iterator[None]:
    system.redis.config_set("maxmemory", 1_000_000)
    time.sleep(6)
    yield
    system.redis.config_set("maxmemory", 0)


@contextmanager
def no_connection_left(system: System, folder: Path) -> Iterator[None]:
    """All connections are closed and others take their places."""
    system.redis.ping()
    system.redis.config_set("maxclients", 20)
    system.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    others = [redis.Redis(port=system.server.port, retry=None) for _ in range(40)]
    for other in others:
        with suppress(redis.RedisError):
            other.ping()
    time.sleep(6)
    yield
    for other in others:
        other.close()
    system.redis.config_set("maxclients", 10_000)


@contextmanager
def loading(system: System, folder: Path) -> Iterator[None]:
    """The server answers LOADING for some seconds after a restart."""
    with system.redis.pipeline() as pipe:
        for number in range(300):
            pipe.set(f"filler:{number}", "x" * 4_000)
        pipe.execute()
    system.redis.execute_command("CONFIG", "SET", "key-load-delay", "15000")
    system.redis.execute_command("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    with suppress(redis.RedisError):
        redis.Redis(port=system.server.port, socket_timeout=60).execute_command("DEBUG", "RELOAD")
    yield
    system.redis.execute_command("CONFIG", "SET", "key-load-delay", "0")


@contextmanager
def lost_lock(system: System, folder: Path) -> Iterator[None]:
    system.redis.delete(LOCK, REAPER_LOCK_KEY)
    time.sleep(1)
    yield


@contextmanager
def stolen_lock(system: System, folder: Path) -> Iterator[None]:
    """Even by an owner that never lets it expire."""
    system.redis.set(LOCK, "another")
    time.sleep(LOCK_S + 2 * LOOP_S)
    yield


@contextmanager
def stopped_roles(system: System, folder: Path) -> Iterator[None]:
    """As when a virtual machine is paused: the locks expire meanwhile."""
    for role in system.roles.values():
        pause(role)
    time.sleep(15)
    yield
    for role in system.roles.values():
        os.kill(role.pid, signal.SIGCONT)


@contextmanager
def lost_data(system: System, folder: Path) -> Iterator[None]:
    """The server restarts empty; the publisher sends the market again."""
    market_keys = {key: system.redis.dump(key) for key in system.redis.keys("risk:market*")}
    panel_keys = {key: system.redis.dump(key) for key in system.redis.keys("risk:panel*")}
    system.redis.flushall()
    time.sleep(1)
    for key, data in {**market_keys, **panel_keys}.items():
        system.redis.restore(key, 0, data)
    yield


FAULTS: list[Any] = [restart, read_only, memory_full, stolen_lock]
FAULTS += [
    pytest.param(fault, marks=pytest.mark.full_size)
    for fault in (
        *(paused_clients, stopped_server, disk_error, no_connection_left),
        *(loading, lost_lock, stopped_roles, lost_data),
    )
]
OTHER_ROLES = [
    pytest.param(role, marks=pytest.mark.full_size) for role in ("scheduler", "gateway", "flower")
]


@pytest.fixture
def sturdy(market: MarketSnapshot, tmp_path: Path) -> Iterator[System]:
    """A server, a worker, two schedulers, a gateway and Flower."""
    with running_system(
        tmp_path,
        n_workers=1,
        more=("scheduler", "gateway", f"flower --port {free_port()}"),
        environment={"RISK_TASKS_FLOWER_PASSWORD": "password", "RISK_TASKS_LOG_FORMAT": "json"},
        **{"enable-debug-command": "yes"},
    ) as system:
        system.risk.publish_market(market)
        wait_until(lambda: system.redis.get(LOCK), 10, "a lock")
        yield system


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: getattr(fault, "__name__", None))
def test_a_fault_of_the_server_ends_no_role(
    fault: Fault, sturdy: System, portfolios: list[Portfolio], tmp_path: Path, figures
) -> None:
    pids = {name: role.pid for name, role in sturdy.roles.items()}

    with fault(sturdy, tmp_path):
        assert [role.name for role in sturdy.roles.values() if not role.is_alive] == []
    well_at = time.monotonic()
    back = {
        "check": after(well_at, lambda: answered(sturdy, portfolios[0])),
        "gateway": after(well_at, lambda: gateway_is_ready(sturdy)),
        "entries": after(well_at, lambda: entries(sturdy) == set(pids.values())),
        "reaper": after(well_at, lambda: sturdy.redis.ttl(REAPER_LOCK_KEY) > 0),
        "lock": after(well_at, lambda: sturdy.redis.ttl(LOCK) > 0),
    }

    figures(back_s=back)
    assert {name: role.pid for name, role in sturdy.roles.items() if role.is_alive} == pids
    assert max(back.values()) <= BACK_WITHIN_S
    # The schedule goes on: a sweep within its interval of 10 s.
    n_sweeps = sweeps(sturdy)
    wait_until(lambda: sweeps(sturdy) > n_sweeps, 12, "a sweep")


def after(well_at: float, is_back: Callable[[], bool]) -> float:
    """Return the seconds until `is_back`."""

    def holds() -> bool:
        try:
            return is_back()
        except (RiskTasksError, redis.RedisError):
            return False

    wait_until(holds, 30, "service again")
    return seconds(well_at)


def answered(system: System, portfolio: Portfolio) -> bool:
    report = system.risk.check(portfolio, measures=["gross_leverage"], timeout_s=1)
    return report.status == "ok"


def gateway_is_ready(system: System) -> bool:
    log = next(role.log_path for name, role in system.roles.items() if "gateway" in name)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line[:1] == "{"]
    port = next(line["port"] for line in lines if line["event"] == "gateway.ready")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=3) as answer:
            return answer.status == 200
    except OSError:
        return False


def entries(system: System) -> set[int]:
    return {role.pid for role in RoleStore(connect(system.server.url)).running()}


def sweeps(system: System) -> int:
    """The number of sweeps that all schedulers have sent."""
    logs = [role.log_path.read_text() for name, role in system.roles.items() if "sched" in name]
    return sum(log.count("Sending due task risk.sweep") for log in logs)


def test_a_killed_lock_holder_is_followed(sturdy: System, figures) -> None:
    """Within the lifetime of the lock and one loop of the standby."""
    first = next(r for r in sturdy.roles.values() if "Acquired lock" in r.log_path.read_text())
    holder = sturdy.redis.get(LOCK)

    os.kill(first.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    wait_until(lambda: sturdy.redis.get(LOCK) not in {holder, None}, 30, "another holder")

    figures(followed_s=seconds(killed_at))
    assert seconds(killed_at) <= LOCK_S + LOOP_S + 0.5


@pytest.mark.parametrize("role", ["worker", *OTHER_ROLES])
def test_a_role_waits_for_a_server_that_is_away_at_its_start(role: str, tmp_path: Path) -> None:
    """It says so once, and serves soon after the server is there."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = FaultyServer(folder)
    server.kill()
    environment = {
        "RISK_TASKS_BROKER_URL": server.url,
        "RISK_TASKS_FLOWER_PASSWORD": "password",
        "RISK_TASKS_LOG_FORMAT": "json",
    }
    port = [] if role in ("worker", "scheduler") else ["--port", str(free_port())]
    process = RoleProcess(
        role, ["-m", "risk_tasks", role, *port], environment, tmp_path / f"{role}.log"
    )
    process.start()
    try:
        wait_until(lambda: '.failed"' in process.log_tail(), 30, "a line about the wait")
        time.sleep(4)
        assert process.is_alive
        assert process.log_tail().count('"start.failed"') <= 1
        server.restart()
        started = time.monotonic()
        store = RoleStore(connect(server.url))
        # A worker also loads its kernels.
        wait_until(store.running, 30, "an entry")
        assert seconds(started) <= (30 if role == "worker" else BACK_WITHIN_S)
    finally:
        process.terminate()
        assert process.wait() == 0
        server.stop()


@pytest.mark.parametrize("role", ["worker", *OTHER_ROLES])
def test_a_start_timeout_ends_a_role(role: str, tmp_path: Path) -> None:
    """For scripts: with an exit code other than 0 and the cause."""
    environment = {
        "RISK_TASKS_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "RISK_TASKS_FLOWER_PASSWORD": "password",
    }
    port = [] if role in ("worker", "scheduler") else ["--port", str(free_port())]
    process = RoleProcess(
        role,
        ["-m", "risk_tasks", role, "--start-timeout", "1", *port],
        environment,
        tmp_path / f"{role}.log",
    )
    process.start()
    wait_until(lambda: not process.is_alive, 30, "the end")

    assert process.wait() == 1
    assert "not available within 1 s" in process.log_tail()
