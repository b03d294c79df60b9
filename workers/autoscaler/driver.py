"""What adds and drains workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from risk_tasks.errors import RiskTasksError


class EngineError(RiskTasksError):
    """The container engine did not do what it was asked.

    See the log of the autoscaler, and whether it may open the engine's socket.
    """

    code = "engine"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that is meant to run; `host` is the name that its process has for its machine."""

    id: str
    name: str
    host: str
    number: int


class Driver(Protocol):
    """Knows the workers of one service. All methods raise `EngineError`."""

    name: str

    def workers(self) -> Sequence[Worker]:
        """Return those that are meant to run and are not being drained."""
        ...

    def add(self) -> str:
        """Start one more, like the others, and return its name."""
        ...

    def drain(self, worker: Worker) -> None:
        """Have `worker` finish what it has started, and go; returns before it has."""
        ...

    def close(self) -> None:
        """Wait until those that were asked to go are gone."""
        ...


def idlest(workers: Sequence[Worker], busy_by_host: dict[str, float]) -> Worker:
    """Return the least busy; of several, the one that came last."""
    return min(workers, key=lambda one: (busy_by_host.get(one.host, 0.0), -one.number))
