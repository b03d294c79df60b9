"""50,000 portfolios x 20 positions x 250 days end to end, compared with the floor and no queue."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import redis

from benchmarks import floor, inputs, vectorised
from benchmarks.output import print_rows, write
from risk_tasks.client import RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet

N_CHECKS, N_ROUNDS, N_OBSERVATIONS = 50_000, 15, 250


def run() -> None:
    snapshot = inputs.market(N_OBSERVATIONS)
    encoded = inputs.table(N_CHECKS, encoded=True)
    plain = inputs.table(N_CHECKS, encoded=False)
    instrument, quantity = inputs.arrays(N_CHECKS)
    plan = FleetPlan(n_workers=2, critical_worker=True, scheduler=True)
    with (
        running_fleet(plan) as fleet,
        floor.running_workers(fleet.url, 2),
        RiskClient(fleet.url, timeout_s=30) as risk,
        redis.Redis.from_url(fleet.url) as client,
    ):
        risk.publish_market(snapshot)
        ways: dict[str, Callable[[], object]] = {
            "floor": lambda: floor.run(client, instrument, quantity),
            "encoded": lambda: risk.check_table(encoded),
            "plain": lambda: risk.check_table(plain),
        }
        answers = {name: way() for name, way in ways.items()}
        _assert_equal(answers)
        took_s: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(N_ROUNDS):
            for name, way in ways.items():
                started = time.perf_counter()
                way()
                took_s[name].append(time.perf_counter() - started)
        for name in ("worker-1", "worker-2"):
            print(f"{name} peaks at {_peak_mib(fleet.pids[name])} MiB")
    took_s["no queue"] = [vectorised.timed(snapshot, instrument, quantity) for _ in range(3)]
    rows = {name: [s * 1e3 for s in seconds] for name, seconds in took_s.items()}
    print_rows(f"ms for {N_CHECKS:,} checks", rows)
    base = statistics.median(took_s["floor"])
    alone = statistics.median(took_s["no queue"])
    for name in ("encoded", "plain"):
        middle = statistics.median(took_s[name])
        print(f"{name}: {middle / base:.2f}x the floor, {middle / alone:.3f}x no queue")
    write("throughput", {"checks": N_CHECKS, "rounds": N_ROUNDS}, rows)


def _peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _assert_equal(answers: dict[str, object]) -> None:
    expected = answers["floor"][10]
    for name in ("encoded", "plain"):
        np.testing.assert_array_equal(answers[name]["value_at_risk"].to_numpy(), expected)
