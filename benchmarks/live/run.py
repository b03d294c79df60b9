"""The parts, each on its own system, printed and written."""

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
    """Measure the latency of changes and the computations per change.

    The exit code is 1 if a change was not read.
    """
    plan = _plan()
    with live_system(plan.n_portfolios) as system:
        times = latency.measure(system, plan)
        rows = {
            **_percentiles("from when it was due", times.from_due),
            **_percentiles("from return to being read", times.from_return),
            "changes sent": times.n_sent,
            "changes of state read": times.n_read,
        }
        _print(f"{plan.changes_per_s:g} changes a second for {plan.lasting_s:g} s", rows)
        few = bursts.measure(system, plan)
    computed = {
        "computations a change, in bursts": few.in_bursts,
        "computations a change, one by one": few.one_by_one,
        "fewer in bursts, times": few.one_by_one / few.in_bursts,
    }
    _print(f"{plan.n_in_bursts:,} changes in bursts of {plan.burst}", computed)
    sizes = {
        "portfolios": plan.n_portfolios,
        "changes_per_s": int(plan.changes_per_s),
        "lasting_s": int(plan.lasting_s),
        "changes_in_bursts": plan.n_in_bursts,
        "burst": plan.burst,
    }
    _write("live", sizes, {**rows, **computed})
    if times.n_read != times.n_sent:
        sys.exit(1)


def run_exactness() -> None:
    """Measure the exactness of many changes; exit code 1 if one is lost or doubled."""
    plan = _plan()
    print(f"{plan.n_changes:,} changes over {plan.n_portfolios:,} portfolios", flush=True)
    with live_system(plan.n_portfolios) as system:
        found = exactness.measure(system, plan)
    exact = _exact(found)
    _print(f"{found.n_changes:,} changes, {found.n_killed} workers killed", exact)
    for line in found.mistakes[:10]:
        print(f"  {line}")
    sizes = {
        "portfolios": plan.n_portfolios,
        "changes": plan.n_changes,
        "kills": plan.n_kills,
    }
    _write("live-exactness", sizes, exact)
    if (
        found.wrong_portfolios
        or found.mistakes
        or found.n_changes != plan.n_changes
        or found.n_killed != plan.n_kills
        or found.fullest_lane > 1.0
    ):
        sys.exit(1)


def _plan() -> Plan:
    return FULL if "--full" in sys.argv else QUICK


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
        "changes and repetitions sent a second": (found.n_changes + found.n_twice) / found.sent_s,
        "seconds to the last report": found.took_s,
        "changes of state read": found.n_read,
        "portfolios that are not exact": found.wrong_portfolios,
        "mistakes in the changes of state": len(found.mistakes),
        "fullest lane, share of its bound": found.fullest_lane,
        "MiB by which the server grew": found.server_grew_bytes / 2**20,
        "MiB of the checking process": found.checker_bytes / 2**20,
    }


def _print(heading: str, rows: dict[str, float]) -> None:
    print(heading)
    for label, number in rows.items():
        print(f"  {label:<44}{number:>14,.3f}")


def _write(name: str, sizes: dict[str, int], rows: dict[str, float]) -> None:
    write(name, sizes, {label: [number] for label, number in rows.items()})
