"""What each measure costs: microseconds per check, alone and all together.

Blocks of 1,000 portfolios x 20 positions x 1,000 observations on one thread; the rounds of all
measures are interleaved, so that a slow moment of the machine falls on each of them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np

from benchmarks.output import print_rows, write
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.engine.warmup import compile_kernels
from risk_tasks.model.market import MarketSnapshot, Scenario
from risk_tasks.model.measures import MEASURES, STANDARD_MEASURES, MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.wire.request import Terms, pack_portfolios

N_PORTFOLIOS, N_POSITIONS, N_INSTRUMENTS, N_OBSERVATIONS, N_ROUNDS = 1_000, 20, 500, 1_000, 15


def inputs(
    n_portfolios: int, n_observations: int = N_OBSERVATIONS
) -> tuple[MarketSnapshot, list[Portfolio]]:
    """Return a market, and portfolios of 20 positions each, the same in every run."""
    rng = np.random.default_rng(7)
    names = [f"I{i}" for i in range(N_INSTRUMENTS)]
    snapshot = MarketSnapshot(
        datetime(2026, 1, 2, tzinfo=UTC),
        names,
        rng.uniform(10, 500, N_INSTRUMENTS),
        rng.normal(0, 0.01, (n_observations, N_INSTRUMENTS)),
        scenarios={"fall": Scenario({"I1": -0.3}, others=-0.2)},
    )
    portfolios = [
        Portfolio(
            f"p{number}",
            {
                names[place]: float(rng.normal(0, 1_000))
                for place in rng.choice(N_INSTRUMENTS, N_POSITIONS, replace=False)
            },
            nav=1e7,
        )
        for number in range(n_portfolios)
    ]
    return snapshot, portfolios


def run() -> None:
    compile_kernels()
    snapshot, portfolios = inputs(N_PORTFOLIOS)
    market = MarketArrays.of(snapshot)
    request = pack_portfolios(portfolios, Terms(parse_measures(None), MeasureSettings()))
    block = PortfolioBlock(
        request.offsets,
        np.array([market.index[name] for name in request.instrument_names])[request.instrument],
        request.quantity,
        np.full(N_PORTFOLIOS, np.nan),
        np.full(N_PORTFOLIOS, 1e7),
    )
    asked = {name: [name if name != "stress_loss" else "stress_loss:fall"] for name in MEASURES}
    asked["the standard set"] = list(STANDARD_MEASURES)
    cost_us: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(N_ROUNDS):
        for label, names in asked.items():
            parsed = parse_measures(names)
            started = time.perf_counter()
            compute(block, market, parsed, MeasureSettings())
            cost_us[label].append((time.perf_counter() - started) / N_PORTFOLIOS * 1e6)
    print_rows("microseconds per check", cost_us)
    sizes = {
        "portfolios": N_PORTFOLIOS,
        "positions": N_POSITIONS,
        "observations": N_OBSERVATIONS,
        "rounds": N_ROUNDS,
    }
    write("measures", sizes, cost_us)
