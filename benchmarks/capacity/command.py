"""Calibrate, compare the simulation with real fleets, and predict how far the system scales."""

from __future__ import annotations

import os
from dataclasses import asdict

from benchmarks.capacity.calibration import calibrate
from benchmarks.capacity.costs import Costs
from benchmarks.capacity.driving import drive, prepare
from benchmarks.capacity.loads import LOADS, CapacityLoad
from benchmarks.capacity.model import Setting, simulate
from benchmarks.output import write_document
from risk_tasks.embedding import FleetPlan, running_fleet

WORKERS, FAR = (1, 2, 4, 8), (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1_000)
_LASTING_S = 6.0
#: this number of users per worker keeps its lane filled
_USERS_A_WORKER, _USERS_MORE = 2, 1


def run() -> None:
    n_cores = os.cpu_count() or 1
    document: dict[str, object] = {"cores": n_cores}
    for load in LOADS:
        costs = calibrate(load, n_users=3, lasting_s=_LASTING_S)
        document[load.name] = {
            "costs": asdict(costs),
            "validation": _validate(load, costs, n_cores),
            "far": _extrapolate(load, costs),
        }
    write_document("capacity", document)


def _validate(load: CapacityLoad, costs: Costs, n_cores: int) -> list[dict[str, float]]:
    print(f"{load.name}, calls of {load.n_checks}: checks a second on {n_cores} cores")
    rows = []
    for n in (n for n in WORKERS if n <= max(n_cores // 2, 4)):
        n_users = _USERS_A_WORKER * n + _USERS_MORE
        with running_fleet(FleetPlan(n_workers=n)) as fleet:
            prepare(fleet)
            real = drive(fleet, load, load.n_checks, n_users=n_users, lasting_s=_LASTING_S)
        predicted = simulate(costs, Setting(n, n_users, load.n_checks, n_cores))
        error = predicted.calls_per_s / real.calls_per_s - 1
        rows.append(
            {
                "workers": n,
                "users": n_users,
                "measured_per_s": real.calls_per_s * load.n_checks,
                "predicted_per_s": predicted.calls_per_s * load.n_checks,
                "error": error,
                "measured_p50_ms": real.p50_s * 1e3,
                "predicted_p50_ms": predicted.p50_s * 1e3,
            }
        )
        print(
            f"  {n} workers, {n_users} users: {rows[-1]['measured_per_s']:>10,.0f} measured, "
            f"{rows[-1]['predicted_per_s']:>10,.0f} predicted ({error:+.0%}); "
            f"p50 {real.p50_s * 1e3:.1f} and {predicted.p50_s * 1e3:.1f} ms"
        )
    return rows


def _extrapolate(load: CapacityLoad, costs: Costs) -> list[dict[str, float]]:
    """Simulate machines with a core for each process."""
    print(f"{load.name}: predicted, a core for each process")
    rows = []
    for n in FAR:
        n_users = _USERS_A_WORKER * n + _USERS_MORE
        # Long enough that each user gets several answers, even from a saturated server.
        lasting_s = 2.0 + 6.0 * n_users * costs.server.of(load.n_checks)
        predicted = simulate(costs, Setting(n, n_users, load.n_checks), lasting_s=lasting_s)
        per_s = predicted.calls_per_s * load.n_checks
        spent_s = (
            costs.client.of(load.n_checks)
            + costs.server.of(load.n_checks)
            + costs.worker.of(load.n_checks)
        ) / load.n_checks
        rows.append(
            {
                "workers": n,
                "per_s": per_s,
                "server_busy": predicted.server_busy + n * costs.idle_s,
                "workers_busy": predicted.workers_busy,
                "core_us_a_check": spent_s * 1e6 + n * costs.idle_s / max(per_s, 1e-9) * 1e6,
                "p50_ms": predicted.p50_s * 1e3,
            }
        )
        if not per_s:
            print(f"  {n:>5,} workers: none: the polls of waiting workers fill the server")
            continue
        print(
            f"  {n:>5,} workers: {per_s:>12,.0f} checks/s, server {rows[-1]['server_busy']:.0%}, "
            f"{rows[-1]['core_us_a_check']:.1f} us of cores a check, "
            f"p50 {predicted.p50_s * 1e3:.1f} ms"
        )
    return rows
