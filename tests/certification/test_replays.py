"""Replays of published windows against published prices."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from risk_tasks import sample
from risk_tasks.engine import MarketArrays
from risk_tasks.model.scenario import Replay
from risk_tasks.readers import read_market

Vectors = Callable[[str], Any]


@pytest.fixture(scope="module")
def prices() -> dict[date, np.ndarray]:
    """Return the sample's prices by day, as in the file."""
    with sample.PRICES.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {date.fromisoformat(row[0]): np.array(row[1:], dtype=np.float64) for row in rows}


def windows(vector: dict[str, Any], last: date) -> list[tuple[date, date]]:
    """Return the published windows; one of them ends at the last day."""
    return [
        (
            date.fromisoformat(of["from"]),
            last if of["to"] == "today" else date.fromisoformat(of["to"]),
        )
        for of in vector["windows"]
    ]


def test_pyfolio_windows_outside_of_the_prices_are_not_covered(
    vectors: Vectors, prices: dict[date, np.ndarray]
) -> None:
    """Each of the twenty windows starts before the sample; one ends on its last day."""
    published = windows(vectors("stress_windows_pyfolio"), max(prices))
    scenarios = {str(place): Replay(*window) for place, window in enumerate(published)}

    market = MarketArrays.of(read_market(sample.PRICES, scenarios=scenarios))

    assert len(market.scenarios) == 20
    assert not any(arrays.covered.any() for arrays in market.scenarios.values())
    assert published[-1] == (date(2013, 1, 1), date(2022, 12, 28))


def test_windows_as_long_as_those_of_pyfolio_have_the_returns_of_the_prices(
    vectors: Vectors, prices: dict[date, np.ndarray]
) -> None:
    """The return is the last close over the close before the window, minus 1."""
    days = sorted(prices)
    expected, scenarios = {}, {}
    for start, end in windows(vectors("stress_windows_pyfolio"), days[-1]):
        for first in range(1, len(days), 97):
            last_day = days[first] + (end - start)
            if last_day > days[-1]:
                break
            name, before = f"{start} moved to {days[first]}", days[first - 1]
            scenarios[name] = Replay(days[first], last_day)
            expected[name] = prices[max(day for day in days if day <= last_day)] / prices[before]

    market = MarketArrays.of(read_market(sample.PRICES, scenarios=scenarios))

    assert len(expected) > 100
    for name, ratio in expected.items():
        assert market.scenarios[name].covered.all()
        np.testing.assert_allclose(market.scenarios[name].change, ratio - 1, rtol=0, atol=1e-12)
