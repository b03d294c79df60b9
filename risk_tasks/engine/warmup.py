"""Compiling every kernel before the first check waits for it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.compute import FUNCTIONS, compute, contributions
from risk_tasks.engine.content import content_digests
from risk_tasks.engine.headroom import EXITS, largest_trades
from risk_tasks.engine.market import MarketArrays
from risk_tasks.kernels.jit import recorded_compilations
from risk_tasks.kernels.validity import locate, repeated_position
from risk_tasks.model.confidence import VarConvention
from risk_tasks.model.limits import Comparison
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import Distribution, MeasureName, MeasureSettings, Precision
from risk_tasks.model.registry import MEASURES, Qualifier
from risk_tasks.model.scenario import Scenario


def compile_kernels() -> int:
    """Run every measure once on a market of one instrument, in the types that blocks have.

    Returns how many functions were compiled; those that a cache holds are loaded instead.
    """
    with recorded_compilations() as recorder:
        _run_everything()
    return sum(each.is_start for _, each in recorder.buffer)


def _run_everything() -> None:
    snapshot = MarketSnapshot(
        datetime(2000, 1, 1, tzinfo=UTC),
        ["A"],
        np.ones(1),
        np.linspace(-0.1, 0.1, 100)[:, None],
        scenarios={"fall": Scenario({"A": -0.1})},
    )
    block = PortfolioBlock(
        offsets=np.array([0, 1], dtype=np.int64),
        instrument=np.zeros(1, dtype=np.int64),
        quantity=np.ones(1),
        cash=np.full(1, np.nan),
        nav=np.ones(1),
    )
    items = {Qualifier.SCENARIO: "fall", Qualifier.INSTRUMENT: "A"}
    names = [MeasureName(name, item=items.get(MEASURES[name].qualifier)) for name in FUNCTIONS]
    market = MarketArrays.of(snapshot)
    # Each of both in some run: neither compiles what the other does.
    for precision, distribution in zip(Precision, Distribution, strict=True):
        settings = MeasureSettings(precision=precision, n_paths=1_000, distribution=distribution)
        compute(block, market, names, settings)
        for name in names:
            contributions(block, market, name, settings, 0)
    # The linear convention is the one that every kernel of headroom has a part in.
    linear = MeasureSettings(confidence="0.985", var_convention=VarConvention.LINEAR)
    bounded = [name for name in names if name.name in EXITS]
    bounds = [(name, Comparison.ABSOLUTE, 1e9) for name in bounded]
    largest_trades(block, market, linear, bounds)
    content_digests(block, market)
    one = np.zeros(1, dtype=np.int64)
    repeated_position(block.offsets, block.instrument, 1, one)
    code, quantity = np.zeros(1, dtype=np.int32), np.ones(1)
    code.flags.writeable = quantity.flags.writeable = False
    locate(block.offsets, code, block.instrument, 1, quantity, one, one.copy())
