"""The interval of a historical VaR against scipy's binomial distribution and simulated windows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from risk_tasks.engine.history import lower_rank, upper_rank
from tests.certification.worth_one import column, measured

LEVELS = [("0.90", 0.10), ("0.95", 0.05), ("0.975", 0.025), ("0.99", 0.01), ("0.999", 0.001)]


@pytest.mark.parametrize("n", [100, 250, 252, 500, 715, 1000, 2500, 20_000])
@pytest.mark.parametrize(("text", "alpha"), LEVELS)
def test_ranks_are_scipys_binomial_quantiles(n: int, text: str, alpha: float) -> None:
    """The larger loss is at the 2.5 % quantile, the smaller one beyond the 97.5 % quantile."""
    binomial = scipy.stats.binom(n, alpha)

    assert upper_rank(n, text) == binomial.ppf(0.025)
    assert lower_rank(n, text) == binomial.ppf(0.975) + 1


@pytest.mark.parametrize("n", [100, 250, 1000])
@pytest.mark.parametrize(("text", "alpha"), LEVELS)
def test_the_interval_is_the_narrowest_that_covers(n: int, text: str, alpha: float) -> None:
    """It misses each side with at most 2.5 %; an interval one rank shorter misses with more."""
    binomial, larger, smaller = (
        scipy.stats.binom(n, alpha),
        upper_rank(n, text),
        lower_rank(n, text),
    )

    assert binomial.cdf(larger - 1) <= 0.025 < binomial.cdf(larger)
    assert binomial.sf(smaller - 1) <= 0.025 < binomial.sf(smaller - 2)


def test_the_ends_are_order_statistics() -> None:
    """Those of 1,000 days at 99 % are the 4th and the 18th worst."""
    returns = 0.01 * np.random.default_rng(4).standard_t(4, 1000)
    ordered = np.sort(returns)

    assert measured("value_at_risk_upper@0.99", returns) == -ordered[3]
    assert measured("value_at_risk_lower@0.99", returns) == -ordered[17]
    assert measured("value_at_risk_upper@0.99", returns, horizon_days=100) == -10 * ordered[3]


def test_simulated_intervals_contain_the_true_quantile() -> None:
    """At least 95 % of 400 windows of 250 normal days contain it, but not all."""
    windows = 0.01 * np.random.default_rng(8).standard_normal((250, 400))
    ends = [f"value_at_risk_{end}@0.95" for end in ("lower", "upper")]
    true = 0.01 * scipy.stats.norm.ppf(0.95)

    held = [measured(ends[0], window) <= true <= measured(ends[1], window) for window in windows.T]

    assert column(ends[0], windows[:, 0]).is_ok.all()
    assert 0.93 <= np.mean(held) < 1.0
