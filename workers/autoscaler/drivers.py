"""Drivers: they list, add and drain the workers of one service."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from risk_tasks.errors import RiskTasksError
from risk_tasks.log import log
from risk_tasks.queues import Lane
from risk_tasks.store.roles import RunningRole

_TIMEOUT_S = 20.0
#: the default of the engine, for a container without a grace period
_DEFAULT_GRACE_S = 10.0
#: a container that restarts or is paused is still a worker: another one would be too many
_WORKER_STATES = frozenset({"created", "running", "restarting", "paused"})

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
NUMBER, ONE_OFF = "com.docker.compose.container-number", "com.docker.compose.oneoff"
#: names the container that this one has replaced
_REPLACED = "com.docker.compose.replace"


class EngineError(RiskTasksError):
    """The container engine failed.

    See the log of the autoscaler, and check that it may open the engine's socket.
    """

    code = "engine"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker; `host` is the host name that its process sees."""

    id: str
    name: str
    host: str
    number: int


def idlest(workers: Sequence[Worker], busy_by_host: Mapping[str, float]) -> Worker:
    """Return the least busy worker; among equals, the newest one."""
    return min(workers, key=lambda one: (busy_by_host.get(one.host, 0.0), -one.number))


class DryRunDriver:
    """The running workers that serve every lane; it changes none of them."""

    name = "dry-run"

    def __init__(self, running: Callable[[], Sequence[RunningRole]]) -> None:
        self._running = running

    def workers(self) -> list[Worker]:
        return [
            Worker(role.name, role.name, role.host, number)
            for number, role in enumerate(self._running(), 1)
            if role.role == "worker" and all(map(role.serves, Lane))
        ]

    def add(self) -> str:
        return ""

    def drain(self, worker: Worker) -> None:
        pass

    def close(self) -> None:
        pass


class Engine:
    """Docker's HTTP API at the Unix socket `socket_path`."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path

    def containers(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return all containers that have `labels`, running or not."""
        filters = {"label": [f"{name}={value}" for name, value in labels.items()]}
        query = urlencode({"all": "1", "filters": json.dumps(filters)})
        found: list[dict[str, Any]] = self.call("GET", f"/containers/json?{query}")
        return found

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/containers/{quote(container, safe='')}/json")
        return found

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = _TIMEOUT_S,
    ) -> Any:
        """Return the JSON of a call, None without a body; raises `EngineError`.

        The path has no API version, so that the engine uses its own.
        """
        connection = _UnixConnection(self._socket_path, timeout_s)
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
            # 304: the container runs already, or has exited already.
            if response.status >= 400:
                reason = data.decode(errors="replace").strip()[:300]
                raise EngineError(f"{method} {path}: {response.status}: {reason}")
            return json.loads(data) if data.strip() else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EngineError(f"{method} {path}: {type(error).__name__}: {error}.") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DockerDriver:
    """The containers of `service` in the Compose project `project`; it changes no others.

    The methods raise `EngineError`.
    """

    name = "docker"

    def __init__(self, engine: Engine, project: str, service: str) -> None:
        self._engine = engine
        self._labels = {PROJECT: project, SERVICE: service, ONE_OFF: "False"}
        self._drains: dict[str, threading.Thread] = {}

    def workers(self) -> list[Worker]:
        """Return the workers that are not being drained."""
        self._drains = {one: drain for one, drain in self._drains.items() if drain.is_alive()}
        found = [_worker(one) for one in self._ours() if one["State"] in _WORKER_STATES]
        return [worker for worker in found if worker.id not in self._drains]

    def add(self) -> str:
        """Start one more worker like the others, and return its name."""
        ours = self._ours()
        running = [
            one for one in ours if one["State"] == "running" and one["Id"] not in self._drains
        ]
        if not running:
            raise EngineError("No worker runs that a new one could be copied from.")
        newest = max(running, key=lambda one: one["Created"])
        numbers = {_worker(one).number for one in ours}
        number = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
        name, definition = copy_of(self._engine.inspect(newest["Id"]), number)
        query = urlencode({"name": name})
        created = self._engine.call("POST", f"/containers/create?{query}", definition)["Id"]
        try:
            self._engine.call("POST", f"/containers/{created}/start")
        except EngineError:
            self._engine.call("DELETE", f"/containers/{created}")
            raise
        return name

    def drain(self, worker: Worker) -> None:
        """Ask `worker` to finish its work and exit; returns before it has exited."""
        config = self._engine.inspect(worker.id)["Config"]
        if not self._has_labels(config["Labels"] or {}):
            raise EngineError(f"{worker.name} is not a worker of this project: it is not drained.")
        grace_s = config.get("StopTimeout") or _DEFAULT_GRACE_S
        drain = threading.Thread(
            target=self._stop_and_remove, args=(worker, grace_s), name="drain", daemon=True
        )
        self._drains[worker.id] = drain
        drain.start()

    def close(self) -> None:
        """Wait until all workers that are being drained have exited."""
        for drain in self._drains.values():
            drain.join()

    def _ours(self) -> list[dict[str, Any]]:
        found = self._engine.containers(self._labels)
        return [one for one in found if self._has_labels(one["Labels"])]

    def _has_labels(self, labels: Mapping[str, str]) -> bool:
        return self._labels.items() <= labels.items()

    def _stop_and_remove(self, worker: Worker, grace_s: float) -> None:
        path = f"/containers/{worker.id}"
        try:
            # The engine sends SIGTERM, and answers once the container has exited.
            self._engine.call("POST", f"{path}/stop", timeout_s=grace_s + _TIMEOUT_S)
            self._engine.call("DELETE", path)
        except EngineError as error:
            log.warning("autoscaler.not_drained", worker=worker.name, error=str(error))
        else:
            log.info("autoscaler.drained", worker=worker.name)


Driver = DockerDriver | DryRunDriver


def own_project(engine: Engine, host: str) -> str:
    """Return the Compose project of the container whose host name is `host`: this process's own."""
    labels = engine.inspect(host)["Config"]["Labels"] or {}
    if PROJECT not in labels:
        raise EngineError(
            "This container does not belong to a Compose project.",
            remedy="Set RISK_TASKS_AUTOSCALER_PROJECT.",
        )
    return str(labels[PROJECT])


def copy_of(container: Mapping[str, Any], number: int) -> tuple[str, dict[str, Any]]:
    """Return name and definition of container `number`, copied from what `inspect` returned.

    Image, command, environment, labels, limits, mounts and networks are equal, so that Compose
    treats it as one of its own; what belongs to the inspected container alone is left out.
    """
    name = container["Name"].lstrip("/")
    own_aliases = {container["Id"][:12], name}
    labels = {
        key: value for key, value in container["Config"]["Labels"].items() if key != _REPLACED
    }
    definition = {
        **{key: value for key, value in container["Config"].items() if key != "Hostname"},
        # By its id: the tag may name a newer image by now.
        "Image": container["Image"],
        "Labels": {**labels, NUMBER: str(number)},
        "HostConfig": {
            key: value for key, value in container["HostConfig"].items() if key != "ContainerIDFile"
        },
        "NetworkingConfig": {
            "EndpointsConfig": {
                network: {
                    "Aliases": [
                        alias for alias in joined.get("Aliases") or [] if alias not in own_aliases
                    ]
                }
                for network, joined in container["NetworkSettings"]["Networks"].items()
            }
        },
    }
    return re.sub(r"\d+$", "", name) + str(number), definition


def _worker(container: Mapping[str, Any]) -> Worker:
    container_id = container["Id"]
    name = (container["Names"] or [f"/{container_id[:12]}"])[0].lstrip("/")
    number = container["Labels"].get(NUMBER, "0")
    return Worker(container_id, name, container_id[:12], int(number) if number.isdigit() else 0)
