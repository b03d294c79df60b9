"""The cost of each measure: microseconds per check, individually, together, and in risk libraries.

Blocks of 1,000 portfolios x 20 positions x 1,000 observations on one thread. The rounds of all
measures and libraries alternate, so that a slow moment of the machine affects all of them.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks import inputs
from benchmarks.libraries.agreements import AGREEMENTS
from benchmarks.libraries.books import Books
from benchmarks.libraries.environment import LIBRARIES
from benchmarks.libraries.run import libraries
from benchmarks.libraries.timing import CONFIDENCE, LibraryTimes
from benchmarks.output import print_rows, write
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.kernels.catalogue import compile_kernels
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES, Qualifier

N_PORTFOLIOS, N_OBSERVATIONS, N_ROUNDS = 1_000, 1_000, 5
#: our calls are short, and run more often in each round
N_TURNS = 3
NAV = 1e7

Request = tuple[list[MeasureName], MeasureSettings]


def run() -> None:
    LIBRARIES.ensure()
    compile_kernels()
    snapshot = inputs.market(N_OBSERVATIONS)
    market, block = MarketArrays.of(snapshot), _block()
    requests = _requests(market)
    cost_us: dict[str, list[float]] = {label: [] for label in requests}
    with libraries(_books(block, snapshot)) as process:
        theirs = LibraryTimes(process, N_OBSERVATIONS)
        for _ in range(N_ROUNDS):
            for _ in range(N_TURNS):
                for label, (names, settings) in requests.items():
                    started = time.perf_counter()
                    compute(block, market, names, settings)
                    cost_us[label].append((time.perf_counter() - started) / N_PORTFOLIOS * 1e6)
            theirs.measure_once()
    print_rows("microseconds per check", cost_us)
    theirs.print_against(cost_us)
    sizes = {
        "portfolios": N_PORTFOLIOS,
        "positions": inputs.N_POSITIONS,
        "observations": N_OBSERVATIONS,
        "rounds": N_ROUNDS,
        "repeats of our calls in a round": N_TURNS,
    }
    write("measures", sizes, {**cost_us, **theirs.rows()}, theirs.versions)


def _requests(market: MarketArrays) -> dict[str, Request]:
    """Each measure, the standard set, and what a library has under another convention."""
    suffix = {Qualifier.SCENARIO: ":fall", Qualifier.INSTRUMENT: f":{next(iter(market.index))}"}
    spelled = {name: name + suffix.get(one.qualifier, "") for name, one in MEASURES.items()}
    standard = MeasureSettings(confidence=CONFIDENCE)
    requests = {name: (parse_measures([spelled[name]]), standard) for name in MEASURES}
    requests["the standard set"] = (parse_measures(STANDARD_MEASURES), standard)
    for one in AGREEMENTS:
        settings = MeasureSettings(confidence=CONFIDENCE, **one.settings)
        requests.setdefault(one.ours, (parse_measures([spelled[one.measure]]), settings))
    return requests


def _block() -> PortfolioBlock:
    instrument, quantity = inputs.arrays(N_PORTFOLIOS)
    offsets = np.arange(N_PORTFOLIOS + 1) * inputs.N_POSITIONS
    unknown, nav = np.full(N_PORTFOLIOS, np.nan), np.full(N_PORTFOLIOS, NAV)
    return PortfolioBlock(offsets, instrument, quantity, unknown, nav)


def _books(block: PortfolioBlock, snapshot: MarketSnapshot) -> Books:
    weights = block.quantity * snapshot.prices[block.instrument] / NAV
    panel = np.ascontiguousarray(snapshot.returns.T)
    return Books(block.offsets, block.instrument, weights, panel)
