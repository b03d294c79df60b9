"""Server and roles on one machine: started together, watched, stopped together."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from risk_tasks.connection import connect
from risk_tasks.embedding.flower import FlowerDoor
from risk_tasks.embedding.gateway import GatewayDoor
from risk_tasks.embedding.processes import RoleProcess
from risk_tasks.embedding.server import running_server
from risk_tasks.errors import StartError, TransportError
from risk_tasks.queues import Lane
from risk_tasks.store.roles import RoleStore

_ALL_LANES = ",".join(Lane)
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What to start: `n_workers` for all lanes, and beside them what a service needs."""

    n_workers: int = 1
    #: as the server says where it is None, which of a new one is 1
    n_shards: int | None = None
    concurrency: int = 1
    critical_worker: bool = False
    scheduler: bool = False
    flower: bool = False
    gateway: bool = False
    log_level: str = "warning"
    #: on or off; as the environment says where it is None
    metrics: str | None = None
    #: on a slow machine kernels that nobody has compiled yet take a minute or two
    ready_within_s: float = 240.0


class Fleet:
    """The processes of one plan against one broker."""

    def __init__(
        self, url: str, plan: FleetPlan, folder: Path, server_pid: int | None = None
    ) -> None:
        self.url = url
        self.folder = folder
        self.server_pid = server_pid
        self._plan = plan
        self.flower = FlowerDoor.open(folder) if plan.flower else None
        self.gateway = GatewayDoor.open() if plan.gateway else None
        self._client = connect(url)
        self._roles = RoleStore(self._client)
        self.processes = list(self._planned())

    @property
    def pids(self) -> dict[str, int]:
        """Return the process id of everything that was started here, by name."""
        pids = {process.name: process.pid for process in self.processes}
        return pids if self.server_pid is None else {"server": self.server_pid, **pids}

    def start(self, stopped: threading.Event) -> None:
        """Start every role and wait until each has said that it serves; else `StartError`."""
        for process in self.processes:
            process.start()
        self._await_ready(stopped)

    def revive(self) -> list[str]:
        """Start again what has died; returns the names."""
        dead = [process for process in self.processes if not process.is_alive]
        for process in dead:
            process.restart()
        return [process.name for process in dead]

    def stop(self) -> None:
        for process in self.processes:
            process.ask_to_stop()
        for process in self.processes:
            process.wait_stopped()
        self._client.close()

    def _await_ready(self, stopped: threading.Event) -> None:
        give_up_at = time.monotonic() + self._plan.ready_within_s
        while time.monotonic() < give_up_at and not stopped.wait(_POLL_S):
            for process in self.processes:
                if not process.is_alive:
                    raise StartError(
                        f"{process.name} ended before it was ready:\n{process.last_words()}"
                    )
            try:
                serving = {role.pid for role in self._roles.live()}
            except TransportError:
                serving = set()
            if all(process.pid in serving for process in self.processes):
                return
        if stopped.is_set():
            return
        raise StartError(f"Not every role was ready within {self._plan.ready_within_s:g} s.")

    def _planned(self) -> Iterator[RoleProcess]:
        for number in range(1, self._plan.n_workers + 1):
            yield self._worker(f"worker-{number}", _ALL_LANES)
        if self._plan.critical_worker:
            yield self._worker("worker-critical", Lane.CRITICAL)
        if self._plan.scheduler:
            yield self._role("scheduler", ["scheduler"])
        if self.flower is not None:
            yield self._role("flower", self.flower.arguments, self.flower.environment)
        if self.gateway is not None:
            yield self._role("gateway", self.gateway.arguments)

    def _worker(self, name: str, lanes: str) -> RoleProcess:
        concurrency = str(self._plan.concurrency)
        return self._role(name, ["worker", "--lanes", lanes, "--concurrency", concurrency])

    def _role(
        self, name: str, arguments: list[str], more: Mapping[str, str] | None = None
    ) -> RoleProcess:
        environment: dict[str, str | None] = {
            "RISK_TASKS_BROKER_URL": self.url,
            "RISK_TASKS_LOG_LEVEL": self._plan.log_level,
            # One port cannot be that of all.
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
    """Run `plan`, over a server of our own unless `url` names one, and stop it all at the end.

    `stopped` ends the wait for what is still starting.
    Raises `StartError` with the last lines of its log where a role does not come up.
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
