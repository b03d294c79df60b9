"""Marginal and component VaR as Jorion prints them: two currencies that move independently.

Value at Risk, 3rd ed., ch. 7.2: 2 million at 5 % and 1 million at 12 % volatility, no correlation,
at 95 % with the deviate rounded to 1.65 but for the incremental VaR.
"""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import NormalDist

import numpy as np
import pytest

from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, parse_measures

BOOK = {"CAD": 2_000_000.0, "EUR": 1_000_000.0}
ROUNDED = 1.65 / NormalDist().inv_cdf(0.95)
#: four days with sample standard deviations of 1 and a covariance of 0
MOVES = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) * np.sqrt(3 / 4)


def found(*names: str) -> list[float]:
    market = MarketSnapshot(
        datetime(2026, 1, 2, tzinfo=UTC), list(BOOK), np.ones(2), MOVES * [0.05, 0.12]
    )
    block = PortfolioBlock(
        offsets=np.array([0, 2]),
        instrument=np.array([0, 1]),
        quantity=np.array(list(BOOK.values())),
        cash=np.full(1, np.nan),
        nav=np.full(1, np.nan),
    )
    columns = compute(
        block, MarketArrays.of(market), parse_measures(names), MeasureSettings("0.95")
    )
    return [float(column.values[0]) * ROUNDED for column in columns.values()]


def test_the_var_of_the_book() -> None:
    assert found("parametric_value_at_risk") == [pytest.approx(257_738, abs=0.5)]


def test_marginal_var() -> None:
    printed = [0.0528, 0.1521]

    assert found("marginal_value_at_risk:CAD", "marginal_value_at_risk:EUR") == [
        pytest.approx(value, abs=5e-5) for value in printed
    ]


def test_component_var_sums_to_the_whole() -> None:
    parts = found("component_value_at_risk:CAD", "component_value_at_risk:EUR")

    assert parts == [pytest.approx(105_630, abs=2), pytest.approx(152_108, abs=2)]
    assert sum(parts) == pytest.approx(257_738, abs=0.5)


def test_incremental_var_is_that_of_the_book_less_that_without_the_position() -> None:
    gained = found("incremental_value_at_risk:CAD", "incremental_value_at_risk:EUR")

    assert [value / ROUNDED for value in gained] == [
        pytest.approx(59_552, abs=1),
        pytest.approx(92_449, abs=1),
    ]
