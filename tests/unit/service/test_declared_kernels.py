"""Checks call kernels only with the argument types that a worker compiles before it needs them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from itertools import product

import numba
import numpy as np
import pytest

from risk_tasks.engine import MarketArrays, compute
from risk_tasks.kernels.jit import Kernel, Specialization
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import (
    Distribution,
    HorizonRule,
    MeasureSettings,
    Precision,
    VarConvention,
    parse_measures,
)
from risk_tasks.model.registry import MEASURES, Qualifier
from risk_tasks.model.scenario import Replay, Scenario
from risk_tasks.service.validation import validate
from risk_tasks.wire.market import decode_market, encode_marks, encode_panel
from risk_tasks.wire.request import Detail, pack_portfolios
from tests.unit.kernels.test_jit_modes import JIT_IS_OFF
from tests.unit.service.support import BOOKS, answer_of, make_market, make_service, make_terms, raw

pytestmark = pytest.mark.skipif(JIT_IS_OFF, reason="without JIT nothing is compiled")

ITEMS = {Qualifier.SCENARIO: "crash", Qualifier.INSTRUMENT: "AAPL"}
NAMES = [
    f"{name}:{ITEMS[measure.qualifier]}" if measure.qualifier in ITEMS else name
    for name, measure in MEASURES.items()
]
#: every limit on `warn` is breached, and every limit on `hard` leaves headroom
LIMITS = LimitSet(
    "all",
    [
        limit
        for name, measure in zip(NAMES, MEASURES.values(), strict=True)
        for limit in (
            Limit(name, warn=1e12, comparison="below", id=f"{name} low"),
            # A share is above no threshold of 1 or more.
            Limit(name, hard=1e-12, comparison="below", id=f"{name} high")
            if measure.range.highest
            else Limit(name, hard=1e12, id=f"{name} high"),
        )
    ],
)
PRINT_DECLARED = """
from risk_tasks.kernels.catalogue import kernels
for each in kernels():
    for one in each:
        print(one.key)
"""


def loaded(snapshot: MarketSnapshot) -> MarketSnapshot:
    """Return `snapshot` with the arrays of a worker, which reads them from published bytes."""
    return decode_market(encode_marks(snapshot), encode_panel(snapshot), snapshot.id)


@pytest.fixture(scope="module")
def markets() -> list[MarketSnapshot]:
    """Without and with a given covariance and missing returns; scenarios of each kind."""
    first = date(2023, 1, 2)
    dates = [first + timedelta(days) for days in range(250)]
    change = {
        "scenarios": {
            "crash": Scenario({"AAPL": -0.5}, others=0.125),
            "moves": Scenario({"AAPL": -0.5}, moves={"MSFT": -2.0}),
            "replay": Replay(dates[10], dates[20], min_coverage=0.5, others=-0.1),
        },
        "dates": dates,
    }
    gaps = np.random.default_rng(7).normal(0.0, 0.02, (250, 3))
    gaps[5, 0] = np.nan
    given = {"returns": gaps, "covariance": np.diag([1e-4, 2e-4, 3e-4])}
    return [loaded(make_market(**change)), loaded(make_market(**change, **given))]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The key of each kernel that is called with each combination of argument types."""
    keys: set[str] = set()
    call = Kernel.__call__

    def record(kernel: Kernel, *args: object) -> None:
        keys.add(Specialization(kernel, tuple(map(numba.typeof, args))).key)
        call(kernel, *args)

    monkeypatch.setattr(Kernel, "__call__", record)
    return keys


def all_settings(distribution: Distribution) -> list[MeasureSettings]:
    """Return settings with every other choice that selects a kernel or a panel."""
    return [
        MeasureSettings(
            "0.95",
            horizon_days=5,
            precision=precision,
            var_convention=convention,
            horizon_rule=rule,
            distribution=distribution,
            n_paths=1_000,
        )
        for precision, convention, rule in product(Precision, VarConvention, HorizonRule)
    ]


def test_checks_call_kernels_only_with_types_of_the_catalogue(
    markets: list[MarketSnapshot], called: set[str]
) -> None:
    """Measures, explanations, headroom and invalid positions; no declared type is unused."""
    service = make_service(markets=markets)
    for market, distribution in zip(markets, Distribution, strict=True):
        arrays = MarketArrays.of(market)
        for settings in all_settings(distribution):
            request = pack_portfolios(BOOKS, make_terms(NAMES, settings, LIMITS, Detail.EXPLAINED))
            answer = answer_of(request, service=service, market=market.id)
            assert not answer.errors
            assert answer.breaches
            assert answer.explanations[0].headroom
            # The result cache computes some portfolios of a block, here one that is empty.
            block, _ = validate(request, arrays)
            compute(block.rows(np.array([2])), arrays, parse_measures(NAMES), settings)
    closed = MarketArrays.of(replace(markets[1], covariance=None, align="common"))
    compute(block, closed, parse_measures(NAMES), MeasureSettings("0.95"))
    invalid = raw(("twice", [(0, 1.0), (0, 2.0)], None, None), ("unknown", [(3, 1.0)], 1.0, 2.0))
    answer_of(invalid, service=service, market=markets[0].id)

    # Another process compiles: it has only the modules that the catalogue imports.
    command = [sys.executable, "-c", PRINT_DECLARED]
    declared = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert called == set(declared.stdout.splitlines())
