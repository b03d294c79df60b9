"""One block in process: our kernels compared with NumPy and SciPy, and with their bounds."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks import floor, inputs, vectorised
from benchmarks.output import print_rows, write
from benchmarks.peers import job
from risk_tasks.engine import MarketArrays
from risk_tasks.kernels.history import profit_and_loss

N_CHECKS, N_ROUNDS, N_OBSERVATIONS, N_ALONE = 10_000, 9, 250, 300


def run() -> None:
    snapshot = inputs.market(N_OBSERVATIONS)
    market = MarketArrays.of(snapshot)
    instrument, quantity = inputs.arrays(N_CHECKS)
    offsets = np.arange(N_CHECKS + 1) * inputs.N_POSITIONS
    half = slice(0, N_CHECKS // 2 + 1)
    held = instrument[: len(instrument) // 2], quantity[: len(quantity) // 2]
    portfolios = [
        {"id": portfolio.id, "positions": dict(portfolio.positions)}
        for portfolio in inputs.portfolios(N_ALONE)
    ]
    near, pnl = instrument % 4, np.empty((N_CHECKS, N_OBSERVATIONS))
    with ThreadPoolExecutor(2) as threads, tempfile.TemporaryDirectory() as folder:
        os.environ["PEERS_MARKET"] = path = str(Path(folder) / "market.npz")
        job.write_market(Path(path), snapshot.instruments, snapshot.prices, snapshot.returns)
        ways: dict[str, tuple[int, Callable[[], object]]] = {
            "ours, 1 thread": (
                N_CHECKS,
                lambda: floor.compute(market, offsets, instrument, quantity),
            ),
            "ours, 2 threads": (
                N_CHECKS,
                lambda: list(
                    threads.map(lambda _: floor.compute(market, offsets[half], *held), "ab")
                ),
            ),
            "SciPy, sparse product": (
                N_CHECKS,
                lambda: vectorised.compute(snapshot, instrument, quantity),
            ),
            "NumPy, gather and sort": (
                N_CHECKS,
                lambda: vectorised.compute_by_gather(snapshot, instrument, quantity),
            ),
            "NumPy, a portfolio at a time": (N_ALONE, lambda: [job.check(p) for p in portfolios]),
            "multiply-adds alone, panel in L2": (
                N_CHECKS,
                lambda: profit_and_loss(offsets, instrument, quantity, market.panel, pnl),
            ),
            "multiply-adds alone, panel in L1": (
                N_CHECKS,
                lambda: profit_and_loss(offsets, near, quantity, market.panel[:4], pnl),
            ),
        }
        us: dict[str, list[float]] = {name: [] for name in ways}
        for _, way in ways.values():
            way()
        for _ in range(N_ROUNDS):
            for name, (n, way) in ways.items():
                started = time.perf_counter()
                way()
                us[name].append((time.perf_counter() - started) / n * 1e6)
    print_rows("microseconds per check", us)
    one = statistics.median(us["ours, 1 thread"])
    for name in ways:
        print(f"{name}: {statistics.median(us[name]) / one:.2f}x ours on one thread")
    adds = inputs.N_POSITIONS * N_OBSERVATIONS
    rate = adds / one / 1e3
    print(f"a check: {adds:,} multiply-adds, {8 * adds:,} bytes; {rate:.1f} a nanosecond")
    write("kernel", {"checks": N_CHECKS, "rounds": N_ROUNDS}, us)
