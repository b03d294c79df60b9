"""All three parts on systems of their own, printed and written."""

from __future__ import annotations

import sys

from benchmarks.live import bursts, exactness, latency
from benchmarks.live.exactness import Exactness
from benchmarks.live.plan import FULL, QUICK, Plan
from benchmarks.live.system import live_system
from benchmarks.output import write
from risk_tasks.histograms import Durations

_PERCENTS = (50, 95, 99)


def run() -> None:
    """Measure at the size that the command line says; exit code 1 where anything was lost."""
    plan = FULL if "--full" in sys.argv else QUICK
    rows, is_exact = measure(plan)
    write("live", _sizes(plan), {label: [number] for label, number in rows.items()})
    if not is_exact:
        sys.exit(1)


def measure(plan: Plan) -> tuple[dict[str, float], bool]:
    """Return every figure by its label, and whether nothing was lost, doubled or out of order."""
    with live_system(plan.n_portfolios) as system:
        times = latency.measure(system, plan)
        rows = {
            **_percentiles("from when it was due", times.from_due),
            **_percentiles("from return to being read", times.from_return),
            "changes sent": times.n_sent,
            "changes of state heard": times.n_heard,
        }
        _print(f"{plan.changes_per_s:g} changes a second for {plan.lasting_s:g} s", rows)
        few = bursts.measure(system, plan)
    computed = {
        "computations a change, in bursts": few.in_bursts,
        "computations a change, one by one": few.one_by_one,
        "fewer in bursts, times": few.one_by_one / few.in_bursts,
    }
    _print(f"{plan.n_in_bursts:,} changes in bursts of {plan.burst}", computed)
    with live_system(plan.n_portfolios) as system:
        found = exactness.measure(system, plan)
    exact = _exact(found)
    _print(f"{found.n_changes:,} changes, {found.n_killed} workers killed", exact)
    for line in found.mistakes[:10]:
        print(f"  {line}")
    is_exact = (
        not found.wrong_portfolios
        and not found.mistakes
        and found.n_killed == plan.n_kills
        and found.fullest_lane <= 1.0
        and times.n_heard == times.n_sent
    )
    return {**rows, **computed, **exact}, is_exact


def _percentiles(label: str, times: Durations) -> dict[str, float]:
    return {
        f"ms {label}, p{percent}": (times.percentile_s(percent) or 0.0) * 1e3
        for percent in _PERCENTS
    }


def _exact(found: Exactness) -> dict[str, float]:
    return {
        "changes, each once": found.n_changes,
        "of them sent twice": found.n_twice,
        "workers killed": found.n_killed,
        "seconds to the last report": found.took_s,
        "changes of state told": found.n_told,
        "portfolios that are not exact": found.wrong_portfolios,
        "mistakes in what was told": len(found.mistakes),
        "fullest lane, share of its bound": found.fullest_lane,
    }


def _print(heading: str, rows: dict[str, float]) -> None:
    print(heading)
    for label, number in rows.items():
        print(f"  {label:<44}{number:>14,.3f}")


def _sizes(plan: Plan) -> dict[str, int]:
    return {
        "portfolios": plan.n_portfolios,
        "changes_per_s": int(plan.changes_per_s),
        "lasting_s": int(plan.lasting_s),
        "changes_in_bursts": plan.n_in_bursts,
        "burst": plan.burst,
        "changes": plan.n_changes,
        "kills": plan.n_kills,
    }
