"""`check_table` beside task queues: one message per check, and many checks per message.

The first kind computes each check with NumPy; the second kind computes a message with our kernels.
Figures are checks per second.
"""

from __future__ import annotations

import statistics
import time

from benchmarks import inputs
from benchmarks.output import print_rows, write
from benchmarks.peers.run import BATCHED_PEERS, PEERS, measure
from risk_tasks.client import RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet

N_CHECKS, N_BY_PEER, N_ROUNDS = 50_000, 1_000, 3
#: checks of one call by peer
N_BY_NAME = dict.fromkeys(PEERS, N_BY_PEER) | dict.fromkeys(BATCHED_PEERS, N_CHECKS)


def run() -> None:
    snapshot = inputs.market(250)
    table = inputs.table(N_CHECKS, encoded=True)
    per_s: dict[str, list[float]] = {"check_table": [], **{name: [] for name in N_BY_NAME}}
    plan = FleetPlan(n_workers=2, critical_worker=True, scheduler=True)
    for _ in range(N_ROUNDS):
        with running_fleet(plan) as fleet, RiskClient(fleet.url, timeout_s=30) as risk:
            risk.publish_market(snapshot)
            for _ in range(3):
                risk.check_table(table)
            for _ in range(3):
                started = time.perf_counter()
                risk.check_table(table)
                per_s["check_table"].append(N_CHECKS / (time.perf_counter() - started))
        for name, n_checks in N_BY_NAME.items():
            measured = measure(name, snapshot, job="check", mode="batch", n_checks=n_checks)
            per_s[name].append(n_checks / measured["seconds"][0])
    print_rows("checks per second", per_s)
    ours = statistics.median(per_s["check_table"])
    for name in N_BY_NAME:
        print(f"check_table is {ours / statistics.median(per_s[name]):,.0f}x {name}")
    write("peers", {"checks": N_CHECKS, "checks by peer": N_BY_NAME}, per_s)
