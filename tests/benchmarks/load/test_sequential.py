"""The sequential engine that the load test compares with ours computes the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import inputs
from benchmarks.load.sequential import SequentialEngine
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.model.measures import MeasureSettings, parse_measures


@pytest.fixture(scope="module")
def snapshot():
    return inputs.market(250)


@pytest.fixture(scope="module")
def engine(snapshot):
    return SequentialEngine(snapshot)


def test_it_has_the_numbers_of_our_engine(engine, snapshot):
    """All standard measures, save the one that needs a net asset value."""
    (portfolio,) = inputs.portfolios(1)
    instrument, quantity = inputs.arrays(1)
    offsets = np.array([0, inputs.N_POSITIONS])
    block = PortfolioBlock(offsets, instrument, quantity, np.zeros(1), np.array([portfolio.nav]))
    names = parse_measures(None)
    columns = compute(block, MarketArrays.of(snapshot), names, MeasureSettings())
    ours = {str(name): column.values[0] for name, column in columns.items()}
    del ours["gross_leverage"]

    assert engine.check(portfolio) == pytest.approx(ours, rel=1e-9)


def test_its_rounds_are_all_outstanding_from_the_start(engine):
    """The last waits for all before it, so that the mean is about half of the longest."""
    measurement = engine.measure(inputs.portfolios(200), 3)

    assert measurement.times.n_rounds == 3
    assert measurement.times.mean_ms < measurement.times.p95_ms < measurement.times.worst_ms
    assert measurement.n_failed == 0
