"""Numbers at the edge: contributions of rounding, sums in any order, windows, far quantiles."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.engine import MarketArrays, PortfolioBlock, compute, largest_trades
from risk_tasks.engine.computation import _normal_quantile
from risk_tasks.model.column import Outcome
from risk_tasks.model.limits import Comparison
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.scenario import Scenario

SETTINGS = MeasureSettings()
EXPOSURES = [
    "market_value",
    "gross_exposure",
    "net_exposure",
    "long_exposure",
    "short_exposure",
    "gross_leverage",
    "concentration",
    "herfindahl",
]


def market_of(returns, prices=None, **more):
    returns = np.asarray(returns, float)
    n = returns.shape[1]
    names = [f"I{i}" for i in range(n)]
    as_of = datetime(2024, 5, 1, tzinfo=UTC)
    prices = [1.0] * n if prices is None else prices
    return MarketArrays.of(MarketSnapshot(as_of, names, prices, returns, **more))


def book_of(quantities, instrument=None):
    quantity = np.array(quantities, float)
    held = np.arange(len(quantity)) if instrument is None else np.array(instrument)
    return PortfolioBlock(np.array([0, len(held)]), held, quantity, np.zeros(1), np.array([1e6]))


def found(market, book, *names):
    columns = compute(book, market, parse_measures(names), SETTINGS)
    return [(float(c.values[0]), Outcome(int(c.outcomes[0]))) for c in columns.values()]


@given(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 1.0, 1e2, 1e4, 1e6]),
    st.integers(1, 6),
    st.booleans(),
)
def test_components_add_up_or_are_ill_conditioned(seed, drift, n, is_hedged):
    """On drifting, constant and exactly hedged portfolios."""
    random = np.random.default_rng(seed)
    returns = 1e-8 * (drift + random.normal(size=(60, n)))
    quantity = random.normal(size=n) * 1e6
    if is_hedged:
        returns = np.c_[returns, returns]
        quantity = np.r_[quantity, -quantity]
    names = [f"component_value_at_risk:I{i}" for i in range(len(quantity))]
    whole, *parts = found(market_of(returns), book_of(quantity), "parametric_value_at_risk", *names)

    if any(outcome is Outcome.ILL_CONDITIONED for _, outcome in parts):
        assert is_hedged
    else:
        total = math.fsum(value for value, _ in parts)
        assert total == pytest.approx(whole[0], rel=1e-6, abs=1e-300)


def test_contributions_of_constant_returns_are_ill_conditioned_or_zero():
    book = book_of([333333.0])
    for part, outcome in found(
        market_of(np.full((100, 1), 0.0011)),
        book,
        "component_value_at_risk:I0",
        "marginal_value_at_risk:I0",
    ):
        assert outcome is Outcome.ILL_CONDITIONED or part == 0.0


def test_the_component_of_the_only_position_is_the_whole_value_at_risk():
    returns = 2e-4 + 1e-8 * np.random.default_rng(0).normal(size=(250, 1))
    whole, part = found(
        market_of(returns),
        book_of([1e6]),
        "parametric_value_at_risk",
        "component_value_at_risk:I0",
    )
    assert part[0] == pytest.approx(whole[0], rel=1e-11)


def test_an_incremental_value_at_risk_has_one_window():
    """An instrument that never moves adds nothing, also if it lacks returns."""
    returns = np.c_[np.zeros(6), [0.01, -0.02, 0.015, -0.3, 0.2, 0.01]]
    returns[3:5, 0] = np.nan
    market = market_of(returns)
    assert found(market, book_of([1000, 100]), "incremental_value_at_risk:I0") == [
        (0.0, Outcome.OK)
    ]


def test_the_order_of_positions_changes_no_bit_of_an_exposure():
    random = Random(0)
    values = [1e16, 1.0, -1e16] + [
        random.gauss(0, 1) * 10 ** random.randint(-9, 9) for _ in range(40)
    ]
    market = market_of(np.zeros((5, len(values))))
    order, seen = list(range(len(values))), set()
    for _ in range(1000):
        random.shuffle(order)
        book = book_of([values[i] for i in order], order)
        seen.add(tuple(value for value, _ in found(market, book, *EXPOSURES)))
    (only,) = seen
    assert only[0] == only[2] == pytest.approx(math.fsum(values), abs=len(values) * 1e16 * 2**-70)
    assert only[1] == math.fsum(map(abs, values))


@pytest.mark.parametrize(
    "confidence", ["0.5000001", "0.95", "0.99", "0.9999999999", "0." + 17 * "9"]
)
def test_a_normal_quantile_is_that_of_the_decimal_text(confidence):
    z = _normal_quantile(confidence)
    with localcontext() as context:
        context.prec = 90
        x, alpha = Decimal(z), 1 - Decimal(confidence)
        term, total, k = x, x, 0
        while abs(term) > Decimal("1e-80"):
            k += 1
            term *= -x * x / (2 * k)
            total += term / (2 * k + 1)
        root = Decimal("6.283185307179586476925286766559005768394338798750211641949889").sqrt()
        density = (-x * x / 2).exp() / root
        error = (Decimal("0.5") - total / root - alpha) / density
    assert abs(float(error)) <= 1e-15 * z


def test_a_position_of_price_0_has_headroom_under_absolute_moves():
    scenario = Scenario({}, moves={"I0": -20.0}, others=0.0)
    market = market_of(np.zeros((50, 2)), [0.0, 10.0], scenarios={"s": scenario})
    (name,) = parse_measures(["stress_loss:s"])
    trades = largest_trades(
        book_of([10.0, 1.0]), market, SETTINGS, [(name, Comparison.ABOVE, 500.0)]
    )
    assert trades[0].tolist() == [15.0, np.inf, np.inf, np.inf]


def test_a_negative_expected_shortfall_has_a_remark():
    market = market_of(np.full((200, 1), 0.01))
    ((value, outcome),) = found(market, book_of([100.0]), "expected_shortfall")
    assert value < 0
    assert outcome is Outcome.NEGATIVE_ES


def test_a_beta_to_accrual_of_rounding_has_no_value():
    returns = np.full((100, 1), 1e-4)
    returns[::2] = np.nextafter(1e-4, 1)
    ((_, outcome),) = found(market_of(returns), book_of([1e4]), "beta:I0")
    assert outcome is Outcome.ILL_CONDITIONED
