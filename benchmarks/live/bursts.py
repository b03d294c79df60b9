"""How many computations a change takes, in bursts and individually, at equal load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.live.plan import Plan
from benchmarks.live.system import MARKET, LiveSystem, name_of
from benchmarks.load.driving import Schedule

_DELTA = {MARKET.instruments[1]: 0.25}


@dataclass(frozen=True, slots=True)
class Bursts:
    """Computations per change."""

    in_bursts: float
    one_by_one: float


def measure(system: LiveSystem, plan: Plan) -> Bursts:
    """Send changes at one rate, in bursts to one portfolio each and spread over all portfolios.

    The changes of a burst are sent at once, and bursts as often as the rate allows.
    """
    return Bursts(
        _computed(system, plan, lambda change: change // plan.burst),
        _computed(system, plan, lambda change: change),
    )


def _computed(system: LiveSystem, plan: Plan, index_of: Callable[[int], int]) -> float:
    before = system.settle().recorded
    schedule = Schedule.soon(plan.burst / plan.changes_per_s)
    for change in range(plan.n_in_bursts):
        schedule.await_due(change // plan.burst)
        name = name_of(index_of(change) % plan.n_portfolios)
        system.risk.change_positions(name, _DELTA)
    return (system.settle().recorded - before) / plan.n_in_bursts
