"""Overlapping horizons against numpy's and polars' rolling sums."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from risk_tasks import sample
from risk_tasks.engine import MarketArrays, compute
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.readers import read_market
from tests.certification.worth_one import book_of, measured

RELATIVE = 1e-12


@pytest.mark.parametrize("days", [2, 5, 10, 250])
def test_measures_of_sums_are_those_of_polars_rolling_sums(days: int) -> None:
    """VaR, ES, volatility and moments agree on real prices of twenty shares."""
    snapshot = read_market(sample.PRICES)
    value = np.linspace(-1e6, 2e6, len(snapshot.instruments))
    daily = snapshot.returns @ value
    sums = pl.Series(daily).rolling_sum(days).drop_nulls().to_numpy()
    settings = MeasureSettings("0.975", days, horizon_rule="overlapping")
    names = ["value_at_risk", "expected_shortfall", "volatility", "semi_deviation"]

    measures = list(map(MeasureName, names))
    block = book_of(value / snapshot.prices)
    found = compute(block, MarketArrays.of(snapshot), measures, settings)

    tail = np.sort(sums)
    k = int(np.ceil(len(sums) * 25 / 1000))
    n_tail = len(sums) * 0.025
    expected = [
        -np.quantile(sums, 0.025, method="inverted_cdf"),
        -(tail[: k - 1].sum() + (n_tail - (k - 1)) * tail[k - 1]) / n_tail,
        np.std(sums, ddof=1),
        np.sqrt((np.minimum(sums - sums.mean(), 0) ** 2).sum() / (len(sums) - 1)),
    ]
    assert len(sums) == 1000 - days + 1
    scale = np.abs(value).sum()
    actual = [column.values[0] for column in found.values()]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=RELATIVE * scale)


def test_the_variance_of_overlapping_sums_is_too_small_by_about_h_over_n() -> None:
    """The mean of 300 windows of 250 independent days is below the square root of time."""
    windows = 0.01 * np.random.default_rng(6).standard_normal((300, 250))
    days, n = 20, 250 - 20 + 1

    ratio = np.mean(
        [
            measured("volatility", window, horizon_days=days, horizon_rule="overlapping") ** 2
            for window in windows
        ]
    )

    assert ratio / (0.01**2 * days) == pytest.approx(1 - days / n, abs=0.04)


def test_sums_include_a_trend_that_the_square_root_of_time_does_not() -> None:
    """Ten equal days in a row have ten times the loss of one."""
    runs = 0.01 * np.repeat(np.random.default_rng(2).standard_normal(100), 10)

    of_root = measured("volatility", runs, horizon_days=10)
    of_sums = measured("volatility", runs, horizon_days=10, horizon_rule="overlapping")

    assert of_sums > 2 * of_root
