"""All stages, sequentially."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import inputs
from benchmarks.load import kills, levels, normal, repeats, scaling
from benchmarks.load.books import publish, shares
from benchmarks.load.figures import Figures
from benchmarks.load.plan import Plan
from benchmarks.load.sequential import SequentialEngine
from risk_tasks.cli.console import progress
from risk_tasks.client import RiskClient
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet


def measure(plan: Plan, broker_url: str | None, *, validate: bool) -> Figures:
    """Measure the system at `broker_url`, or a system of our own.

    Without `validate` only the levels run. In a system that this run did not start, no worker is
    killed and the number of workers stays.
    """
    most = max(plan.levels)
    with progress(f"Making {most:,} portfolios"):
        positions = inputs.table(most, encoded=True)
        portfolios = inputs.portfolios(most)
    with _system(broker_url) as (url, fleet):
        with progress("Publishing"), RiskClient(url) as risk:
            engine = SequentialEngine(publish(risk))
        found = []
        for n in plan.levels:
            with progress(f"{n:,} checks outstanding", still=True):
                found.append(levels.measure(url, n, plan, engine, positions, portfolios))
        if not validate:
            return Figures(tuple(found))
        tables = shares(positions, most, plan.users)
        with progress(f"Half of the load for {plan.normal_s:g} s", still=True):
            round_s = most / found[-1].blocks.per_s
            steady = normal.measure(url, tables, round_s=round_s, lasting_s=plan.normal_s)
        (costly,) = shares(positions, min(plan.costly, most), 1)
        with progress("A costly measure again and again", still=True):
            repeated = repeats.measure(url, costly, plan.repeats)
        killed = scaled = None
        if fleet is not None:
            small = shares(positions, min(plan.calls_of * plan.users, most), plan.users)
            with progress(f"{plan.kills} workers killed under load", still=True):
                killed = kills.measure(fleet, small, plan.kills, plan.calls_per_s)
    if fleet is not None:
        (table,) = shares(positions, min(plan.scaling_of, most), 1)
        with progress("More and fewer workers", still=True):
            scaled = scaling.measure(table, plan.workers, plan.scaling_rounds)
    return Figures(tuple(found), steady, repeated, killed, scaled)


@contextmanager
def _system(broker_url: str | None) -> Iterator[tuple[str, Fleet | None]]:
    if broker_url is not None:
        yield broker_url, None
        return
    with ExitStack() as stack:
        with progress("Starting a server, two workers and a scheduler"):
            plan = FleetPlan(n_workers=2, critical_worker=True, scheduler=True)
            fleet = stack.enter_context(running_fleet(plan))
        yield fleet.url, fleet
        with progress("Stopping them"):
            stack.close()
