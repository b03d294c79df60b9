"""Measures that weigh outcomes by their age, against a textbook, polars and numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.certification.worth_one import measured

Vectors = Callable[[str], Any]

RELATIVE = 1e-12


def fat_tailed(n: int, seed: int) -> np.ndarray:
    """Daily returns with fat tails, oldest first."""
    return 0.01 * np.random.default_rng(seed).standard_t(4, n)


def test_hull_ewma_update(shared_vectors: Vectors) -> None:
    """A volatility of 1 % updated by a move of 2 % under lambda 0.9 is 1.14 %."""
    vector = shared_vectors("hull_var")["ewma"]
    # So long that what the window leaves out weighs nothing.
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
    """The last of its adjusted means of squares, missing days passed over."""
    returns = fat_tailed(n + 3, seed=n)
    returns[[0, n // 2, n]] = np.nan
    squares = pl.Series(returns**2).fill_nan(None)

    expected = squares.ewm_mean(alpha=1 - decay, adjust=True, ignore_nulls=True)

    actual = measured("ewma_volatility", returns, decay=decay, horizon_days=10)
    assert actual == pytest.approx(np.sqrt(expected.drop_nulls()[-1] * 10), rel=RELATIVE)


def test_ewma_volatility_of_no_decay_is_the_root_mean_square() -> None:
    """What each outcome weighs differs by rounding only."""
    returns = fat_tailed(250, seed=1)

    actual = measured("ewma_volatility", returns, decay=1 - 2**-52)

    assert actual == pytest.approx(np.sqrt(np.mean(returns**2)), rel=RELATIVE)
