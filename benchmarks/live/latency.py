"""How long a change takes from `change_positions` until its change of state is read.

The load is open, as in `benchmarks.load.driving`: each change has a due time that is fixed in
advance, and the latency of a change that is sent late counts from its due time.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.live.plan import Plan
from benchmarks.live.system import HARD_AT, MARKET, Listener, LiveSystem, name_of
from benchmarks.load.driving import Schedule
from risk_tasks.histograms import Durations

#: this quantity of the first instrument breaks the hard limit; without it nothing is broken
_SWING = {MARKET.instruments[0]: 2 * HARD_AT / float(MARKET.prices[0])}


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency from the due time of a change, and from the return of its call, until it is read."""

    from_due: Durations
    from_return: Durations
    n_sent: int
    n_read: int


def measure(system: LiveSystem, plan: Plan) -> Latency:
    """Let each change of a portfolio break or restore its limit, at a steady rate."""
    n_changes = int(plan.changes_per_s * plan.lasting_s)
    found: list[tuple[float, str, int]] = []
    listener = Listener(
        system,
        lambda at_s, change: found.append((at_s, change.portfolio_id, change.version)),
    )
    schedule = Schedule.soon(1 / plan.changes_per_s)
    sent: dict[tuple[str, int], tuple[float, float]] = {}

    def user(number: int) -> None:
        for change in range(number, n_changes, plan.n_users):
            round_, index = divmod(change, plan.n_portfolios)
            name = name_of(index)
            sign = -1 if round_ % 2 else 1
            due_s = schedule.await_due(change)
            deltas = {instrument: sign * by for instrument, by in _SWING.items()}
            version = system.risk.change_positions(name, deltas)
            sent[name, version] = due_s, time.perf_counter()

    try:
        with ThreadPoolExecutor(plan.n_users) as users:
            list(users.map(user, range(plan.n_users)))
        system.settle()
    finally:
        listener.finish()
    return _latency(sent, found)


def _latency(
    sent: dict[tuple[str, int], tuple[float, float]], found: list[tuple[float, str, int]]
) -> Latency:
    from_due, from_return = Durations(), Durations()
    for at_s, name, version in found:
        due_s, returned_s = sent[name, version]
        from_due.add(at_s - due_s)
        # The change of state may be read before the call that caused it returns.
        from_return.add(max(0.0, at_s - returned_s))
    return Latency(from_due, from_return, len(sent), len(found))
