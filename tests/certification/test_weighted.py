"""Measures that weight outcomes by their age, against a textbook, polars and numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.signal

from tests.certification.worth_one import measured

Vectors = Callable[[str], Any]

RELATIVE = 1e-12


def fat_tailed(n: int, seed: int) -> np.ndarray:
    """Return daily returns with fat tails, oldest first."""
    return 0.01 * np.random.default_rng(seed).standard_t(4, n)


def test_hull_ewma_update(vectors: Vectors) -> None:
    """A volatility of 1 % updated by a move of 2 % under lambda 0.9 is 1.14 %."""
    vector = vectors("hull_var")["ewma"]
    # The window is so long that older outcomes would have no weight.
    past = np.full(1000, vector["prev_daily_vol"])

    actual = measured(
        "ewma_volatility", np.append(past, vector["last_return"]), decay=vector["lambda"]
    )

    assert actual**2 == pytest.approx(vector["expected_variance"], rel=RELATIVE)
    assert actual == pytest.approx(vector["expected_vol"], abs=vector["tolerance_vol"])
    assert vector["expected_variance"] == 0.00013


@pytest.mark.parametrize("decay", [0.5, 0.94, 0.97, 0.999])
@pytest.mark.parametrize("n", [2, 25, 250])
def test_ewma_volatility_is_that_of_polars(n: int, decay: float) -> None:
    """It is the root of polars' last adjusted mean of squares; both ignore missing days."""
    returns = fat_tailed(n + 3, seed=n)
    returns[[0, n // 2, n]] = np.nan
    squares = pl.Series(returns**2).fill_nan(None)

    expected = squares.ewm_mean(alpha=1 - decay, adjust=True, ignore_nulls=True)

    actual = measured("ewma_volatility", returns, decay=decay, horizon_days=10)
    assert actual == pytest.approx(np.sqrt(expected.drop_nulls()[-1] * 10), rel=RELATIVE)


def test_ewma_volatility_without_decay_is_the_root_mean_square() -> None:
    """The weights differ by rounding only."""
    returns = fat_tailed(250, seed=1)

    actual = measured("ewma_volatility", returns, decay=1 - 2**-52)

    assert actual == pytest.approx(np.sqrt(np.mean(returns**2)), rel=RELATIVE)


@pytest.mark.parametrize(("text", "alpha"), [("0.90", 0.10), ("0.95", 0.05), ("0.99", 0.01)])
@pytest.mark.parametrize("decay", [0.9, 0.98, 0.999])
@pytest.mark.parametrize("n", [100, 251, 1000])
def test_age_weighted_value_at_risk_is_numpys_weighted_quantile(
    n: int, decay: float, text: str, alpha: float
) -> None:
    """It is minus the weighted `inverted_cdf` of the P&L."""
    returns = fat_tailed(n, seed=n)
    weights = decay ** np.arange(n)[::-1]

    actual = measured(f"age_weighted_value_at_risk@{text}", returns, age_decay=decay)

    assert actual == -np.quantile(returns, alpha, method="inverted_cdf", weights=weights)


# From an exercise on the hybrid approach of Boudoukh, Richardson, Whitelaw (transtutors,
# question 12785240): lambda 0.98, the worst of a hundred days, and the sums of the weights
# 0.0217, 0.0226, 0.0095, 0.0079, 0.0221, 0.0126. The losses are printed in percent.
HYBRID = [
    (-0.0340, 4, 0.0217),
    (-0.0320, 2, 0.0443),
    (-0.0280, 45, 0.0538),
    (-0.0260, 54, 0.0617),
    (-0.0240, 3, 0.0838),
    (-0.0200, 31, 0.0964),
]


@pytest.mark.parametrize(("worst", "cumulative"), [(row[0], row[2]) for row in HYBRID])
def test_hybrid_weights_of_a_hundred_days(worst: float, cumulative: float) -> None:
    """Each loss is the VaR up to the printed sum of weights; beyond that the next loss is."""
    returns = np.full(100, 0.01)
    for loss, days_ago, _ in HYBRID:
        returns[-days_ago] = loss

    def value_at_risk(alpha: float) -> float:
        return measured(f"age_weighted_value_at_risk@{1 - alpha:.4f}", returns, age_decay=0.98)

    assert value_at_risk(cumulative - 0.0002) == -worst
    assert value_at_risk(cumulative + 0.0002) < -worst


@pytest.mark.parametrize(("text", "alpha"), [("0.90", 0.10), ("0.95", 0.05), ("0.99", 0.01)])
@pytest.mark.parametrize("decay", [0.9, 0.94, 0.99])
@pytest.mark.parametrize("n", [100, 251, 1000])
def test_filtered_value_at_risk_is_numpys_quantile_of_scipys_filter(
    n: int, decay: float, text: str, alpha: float
) -> None:
    """A recursive filter of the squares gives the variances that scale the outcomes."""
    returns = fat_tailed(n, seed=n) * np.linspace(0.5, 3.0, n)
    first = np.mean(returns**2)
    variance, _ = scipy.signal.lfilter(
        [0.0, 1 - decay], [1.0, -decay], np.append(returns**2, 0.0), zi=[first]
    )
    scaled = returns * np.sqrt(variance[-1] / variance[:-1])

    actual = measured(f"filtered_value_at_risk@{text}", returns, decay=decay)

    assert actual == pytest.approx(-np.quantile(scaled, alpha, method="inverted_cdf"), rel=RELATIVE)


def test_filtered_value_at_risk_with_constant_volatility_is_the_historical_one() -> None:
    """Outcomes of equal size have a scale of 1."""
    returns = np.where(np.random.default_rng(2).random(250) < 0.5, -0.02, 0.02)

    assert measured("filtered_value_at_risk@0.99", returns) == pytest.approx(0.02, rel=RELATIVE)


def test_filtered_value_at_risk_follows_the_current_volatility() -> None:
    """If volatility has doubled for good, older outcomes are scaled by two."""
    quiet = fat_tailed(500, seed=9)
    wild = np.concatenate([quiet, 2 * quiet])

    ratio = measured("filtered_value_at_risk@0.95", wild) / measured(
        "filtered_value_at_risk@0.95", quiet
    )

    assert ratio == pytest.approx(2.0, rel=0.1)
