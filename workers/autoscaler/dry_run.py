"""Decides, and does nothing: for a look at a policy before it is let at an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from risk_tasks.queues import Lane
from risk_tasks.store.roles import LiveRole
from workers.autoscaler.driver import Worker


class DryRunDriver:
    """The live workers that serve every lane, as they tell of themselves; it changes none."""

    name = "dry-run"

    def __init__(self, live: Callable[[], Sequence[LiveRole]]) -> None:
        self._live = live

    def workers(self) -> list[Worker]:
        return [
            Worker(role.name, role.name, role.host, number)
            for number, role in enumerate(self._live(), 1)
            if role.role == "worker" and set(role.lanes.split(",")) == set(Lane)
        ]

    def add(self) -> str:
        return ""

    def drain(self, worker: Worker) -> None:
        pass

    def close(self) -> None:
        pass
