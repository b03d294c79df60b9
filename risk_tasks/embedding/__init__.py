"""Whole systems on this machine, for notebooks, tests and the demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from risk_tasks.client import RiskClient
from risk_tasks.embedding.fleet import Fleet, FleetPlan, running_fleet

__all__ = ["Fleet", "FleetPlan", "embedded", "running_fleet"]


@contextmanager
def embedded(
    workers: int = 1, *, concurrency: int = 1, timeout_s: float = 5.0
) -> Iterator[RiskClient]:
    """Start a server and workers, yield a client, and stop them at the end.

    ::

        with risk_tasks.embedded() as risk:
            risk.publish_market(read_market("prices.csv"))
            print(risk.check(Portfolio("mine", {"AAPL": 100})))

    Needs the extra `embedded`. Raises `StartError` if a part does not start.
    """
    plan = FleetPlan(n_workers=workers, concurrency=concurrency)
    with running_fleet(plan) as fleet, RiskClient(fleet.url, timeout_s=timeout_s) as client:
        yield client
