"""What each measure costs: microseconds per check, alone and all together.

Blocks of 1,000 portfolios x 20 positions x 1,000 observations on one thread; the rounds of all
measures are interleaved, so that a slow moment of the machine falls on each of them.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks import inputs
from benchmarks.output import print_rows, write
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.engine.warmup import compile_kernels
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES, Qualifier
from risk_tasks.wire.request import Terms, pack_portfolios

N_PORTFOLIOS, N_OBSERVATIONS, N_ROUNDS = 1_000, 1_000, 15


def run() -> None:
    compile_kernels()
    market = MarketArrays.of(inputs.market(N_OBSERVATIONS))
    request = pack_portfolios(
        inputs.portfolios(N_PORTFOLIOS), Terms(parse_measures(None), MeasureSettings())
    )
    block = PortfolioBlock(
        request.offsets,
        np.array([market.index[name] for name in request.instrument_names])[request.instrument],
        request.quantity,
        np.full(N_PORTFOLIOS, np.nan),
        np.full(N_PORTFOLIOS, 1e7),
    )
    suffix = {Qualifier.SCENARIO: ":fall", Qualifier.INSTRUMENT: f":{next(iter(market.index))}"}
    asked = {name: [name + suffix.get(one.qualifier, "")] for name, one in MEASURES.items()}
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
        "positions": inputs.N_POSITIONS,
        "observations": N_OBSERVATIONS,
        "rounds": N_ROUNDS,
    }
    write("measures", sizes, cost_us)
