"""What each measure costs: microseconds per check, alone and all together.

Blocks of 1,000 portfolios x 20 positions x 1,000 observations on one thread; the rounds of all
measures are interleaved, so that a slow moment of the machine falls on each of them.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import numba
import numpy as np

from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.engine.warmup import compile_kernels
from risk_tasks.model.market import MarketSnapshot, Scenario
from risk_tasks.model.measures import MEASURES, STANDARD_MEASURES, MeasureSettings, parse_measures

N_PORTFOLIOS, N_POSITIONS, N_INSTRUMENTS, N_OBSERVATIONS, N_ROUNDS = 1_000, 20, 500, 1_000, 15
OUTPUT = Path("build/bench/measures.json")


def run() -> None:
    compile_kernels()
    block, market = _inputs()
    asked = {name: [name if name != "stress_loss" else "stress_loss:fall"] for name in MEASURES}
    asked["the standard set"] = list(STANDARD_MEASURES)
    cost_us: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(N_ROUNDS):
        for label, names in asked.items():
            parsed = parse_measures(names)
            started = time.perf_counter()
            compute(block, market, parsed, MeasureSettings())
            cost_us[label].append((time.perf_counter() - started) / N_PORTFOLIOS * 1e6)
    rows = {label: _spread(costs) for label, costs in cost_us.items()}
    print(f"{'measure':<28}{'median us':>10}{'min':>8}{'max':>8}")
    for label, row in rows.items():
        print(f"{label:<28}{row['median']:>10.2f}{row['min']:>8.2f}{row['max']:>8.2f}")
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(
        json.dumps({"sizes": _sizes(), "versions": _versions(), "us": rows}, indent=2)
    )


def _inputs() -> tuple[PortfolioBlock, MarketArrays]:
    rng = np.random.default_rng(7)
    market = MarketArrays.of(
        MarketSnapshot(
            datetime(2026, 1, 2, tzinfo=UTC),
            [f"I{i}" for i in range(N_INSTRUMENTS)],
            rng.uniform(10, 500, N_INSTRUMENTS),
            rng.normal(0, 0.01, (N_OBSERVATIONS, N_INSTRUMENTS)),
            scenarios={"fall": Scenario({"I1": -0.3}, others=-0.2)},
        )
    )
    held = [rng.choice(N_INSTRUMENTS, N_POSITIONS, replace=False) for _ in range(N_PORTFOLIOS)]
    block = PortfolioBlock(
        offsets=np.arange(N_PORTFOLIOS + 1, dtype=np.int64) * N_POSITIONS,
        instrument=np.concatenate(held).astype(np.int64),
        quantity=rng.normal(0, 1_000, N_PORTFOLIOS * N_POSITIONS),
        cash=np.full(N_PORTFOLIOS, np.nan),
        nav=np.full(N_PORTFOLIOS, 1e7),
    )
    return block, market


def _spread(costs: list[float]) -> dict[str, float]:
    return {"median": statistics.median(costs), "min": min(costs), "max": max(costs)}


def _sizes() -> dict[str, int]:
    return {
        "portfolios": N_PORTFOLIOS,
        "positions": N_POSITIONS,
        "observations": N_OBSERVATIONS,
        "rounds": N_ROUNDS,
    }


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }
