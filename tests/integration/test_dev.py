"""`dev`: a whole system from one command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import redis

from risk_tasks import Portfolio, RiskClient
from risk_tasks.store.roles import RoleStore
from tests.integration.dev_system import READY_TIMEOUT_S, Dev, dev
from tests.integration.support import ended, is_gone, running, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[Callable[[], Dev]]:
    """Return one system for several tests, or a new one after a test stopped it."""
    with ExitStack() as stack:
        systems: list[Dev] = []

        def start() -> Dev:
            if not systems or systems[-1].process.poll() is not None:
                folder = tmp_path_factory.mktemp("dev")
                systems.append(stack.enter_context(dev(folder, "--workers", 1)))
            return systems[-1]

        yield start


@pytest.fixture
def system(started) -> Dev:
    return started()


def answers(url: str) -> bool:
    with RiskClient(url, timeout_s=5) as risk:
        return all(
            risk.check(Portfolio("p", {}), priority=lane).code == "no_market"
            for lane in ("critical", "normal", "batch")
        )


def test_the_ready_file_lists_urls_and_processes(system):
    """It is written when the broker and one process for each role serve."""
    ready = system.ready()

    assert set(ready) == {"broker_url", "gateway_url", "pids"}
    assert ready["broker_url"].startswith("redis://127.0.0.1:")
    assert ready["broker_url"].endswith("/0")
    assert ready["gateway_url"] is None
    assert set(ready["pids"]) == {"server", "worker-1", "worker-critical", "scheduler"}
    assert not any(is_gone(pid) for pid in ready["pids"].values())
    with redis.Redis.from_url(ready["broker_url"]) as client:
        assert client.info("server")["process_id"] == ready["pids"]["server"]
        lanes = {role.pid: role.lanes for role in RoleStore(client).running()}
    assert lanes[ready["pids"]["worker-1"]] == "critical,normal,batch"
    assert lanes[ready["pids"]["worker-critical"]] == "critical"
    assert answers(ready["broker_url"])


@pytest.mark.parametrize("name", ["worker-1", "scheduler"])
def test_a_dead_role_is_restarted(system, name):
    """The file has the new process id, and the system serves."""
    before = system.pids()
    os.kill(before[name], signal.SIGKILL)

    wait_until(lambda: system.pids()[name] != before[name], 20, "a new process id")

    after = system.pids()
    assert {key for key in after if after[key] != before[key]} == {name}
    with redis.Redis.from_url(system.ready()["broker_url"]) as client:
        roles = RoleStore(client)
        wait_until(
            lambda: after[name] in {role.pid for role in roles.running()},
            READY_TIMEOUT_S,
            "serving",
        )
    assert answers(system.ready()["broker_url"])


def test_sigterm_stops_all_processes(system):
    """With exit code 0."""
    pids = system.pids()

    assert ended(system.process, system.log, timeout_s=30) == 0

    assert [name for name, pid in pids.items() if not is_gone(pid)] == []


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def test_a_stop_during_the_start_writes_no_ready_file(tmp_path):
    """Exit code 0, and no process remains."""
    with dev(tmp_path, await_ready=False) as system:
        children = wait_until(
            lambda: len(found := children_of(system.process.pid)) >= 4 and found,
            READY_TIMEOUT_S,
            "server and roles",
        )
        system.process.send_signal(signal.SIGTERM)

        assert system.process.wait(30) == 0

    assert not any(not is_gone(pid) for pid in children)
    assert not system.ready_file.exists()


def test_an_unwritable_ready_file_is_an_error_before_the_start(tmp_path):
    """Of two lines that name the option."""
    log = tmp_path / "dev.log"
    arguments = ["-m", "risk_tasks", "dev", "--ready-file", tmp_path / "nowhere" / "ready.json"]

    with running(*arguments, log=log, settings={}) as process:
        assert process.wait(60) == 1

    assert "Traceback" not in log.read_text()
    assert "nowhere" in log.read_text()


def test_the_ready_file_has_the_url_of_the_gateway(server, tmp_path):
    """A killed gateway is restarted at the same URL."""
    with dev(tmp_path, "--workers", 1, "--broker-url", server.url, "--gateway") as system:
        url, pid = system.ready()["gateway_url"], system.pids()["gateway"]

        def serves() -> bool:
            try:
                return httpx.get(f"{url}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        assert url.startswith("http://127.0.0.1:")
        assert serves()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: system.pids()["gateway"] != pid and serves(), READY_TIMEOUT_S, "again")


def test_a_given_server_is_used_and_left_running(server, tmp_path):
    """With `--broker-url`, after Ctrl-C."""
    with dev(tmp_path, "--workers", 1, "--broker-url", server.url) as system:
        assert system.ready()["broker_url"] == server.url
        assert set(system.pids()) == {"worker-1", "worker-critical", "scheduler"}
        assert answers(server.url)

        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(30) == 0

    assert server.client.ping()
    assert RoleStore(server.client).running() == []
