"""Workers as containers of one service of Compose, by Docker's engine."""

from __future__ import annotations

import threading
from typing import Any

import structlog

from workers.autoscaler.definition import NUMBER, ONE_OFF, PROJECT, SERVICE, one_more
from workers.autoscaler.driver import EngineError, Worker
from workers.autoscaler.engine import Engine

log = structlog.get_logger("risk_tasks")

#: one that restarts or is paused is meant to run: more of it would help nobody
_MEANT_TO_RUN = frozenset({"created", "running", "restarting", "paused"})
#: what the engine itself gives a container that says nothing
_DEFAULT_GRACE_S = 10.0


class DockerDriver:
    """The containers of `service` in `project`; it touches no other, whatever it is handed."""

    name = "docker"

    def __init__(self, engine: Engine, project: str, service: str) -> None:
        self._engine = engine
        self._labels = {PROJECT: project, SERVICE: service, ONE_OFF: "False"}
        self._drains: dict[str, threading.Thread] = {}

    def workers(self) -> list[Worker]:
        self._drains = {one: drain for one, drain in self._drains.items() if drain.is_alive()}
        found = [_worker(told) for told in self._ours() if told["State"] in _MEANT_TO_RUN]
        return [worker for worker in found if worker.id not in self._drains]

    def add(self) -> str:
        every = self._ours()
        running = [
            told for told in every if told["State"] == "running" and told["Id"] not in self._drains
        ]
        if not running:
            raise EngineError("There is no worker that runs, to make another like it.")
        newest = max(running, key=lambda told: told["Created"])
        taken = {_worker(told).number for told in every}
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        name, body = one_more(self._engine.inspect(newest["Id"]), number)
        container = self._engine.create(name, body)
        try:
            self._engine.start(container)
        except EngineError:
            self._engine.remove(container)
            raise
        return name

    def drain(self, worker: Worker) -> None:
        told = self._engine.inspect(worker.id)
        labels = told["Config"]["Labels"] or {}
        if any(labels.get(name) != value for name, value in self._labels.items()):
            raise EngineError(f"{worker.name} is not a worker of this project: it is left alone.")
        grace_s = told["Config"].get("StopTimeout") or _DEFAULT_GRACE_S
        drain = threading.Thread(
            target=self._stop_and_remove, args=(worker, grace_s), name="drain", daemon=True
        )
        self._drains[worker.id] = drain
        drain.start()

    def close(self) -> None:
        for drain in self._drains.values():
            drain.join()

    def _ours(self) -> list[dict[str, Any]]:
        return [
            told
            for told in self._engine.list(self._labels)
            if all(told["Labels"].get(name) == value for name, value in self._labels.items())
        ]

    def _stop_and_remove(self, worker: Worker, grace_s: float) -> None:
        try:
            self._engine.stop(worker.id, grace_s)
            self._engine.remove(worker.id)
        except EngineError as error:
            log.warning("autoscaler.not_drained", worker=worker.name, error=str(error))
        else:
            log.info("autoscaler.drained", worker=worker.name)


def own_project(engine: Engine, host: str) -> str:
    """Return the project of the container that this process runs in, whose host name is `host`."""
    labels = engine.inspect(host)["Config"]["Labels"] or {}
    try:
        return str(labels[PROJECT])
    except KeyError:
        raise EngineError(
            "This container belongs to no project of Compose.",
            remedy="Set RISK_TASKS_AUTOSCALER_PROJECT.",
        ) from None


def _worker(told: dict[str, Any]) -> Worker:
    container = told["Id"]
    name = (told["Names"] or [f"/{container[:12]}"])[0].lstrip("/")
    number = told["Labels"].get(NUMBER, "0")
    return Worker(container, name, container[:12], int(number) if number.isdigit() else 0)
