"""Backtests against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from risk_tasks.model.backtest import (
    Transitions,
    chi_square_survival,
    conditional_coverage,
    cumulative_probability,
    independence,
)
from risk_tasks.model.measures import tail_probability
from tests.certification.test_backtests import at, of


@pytest.mark.parametrize("freedom", [1, 2])
def test_p_values_are_scipys(freedom: int) -> None:
    """Statistics from 0 to those with a p-value of 0 agree with scipy's chi-square."""
    for statistic in [0.0, 1e-12, *np.geomspace(1e-6, 1000.0, 200)]:
        expected = scipy.stats.chi2.sf(statistic, freedom)
        assert chi_square_survival(statistic, freedom) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("confidence", ["0.9", "0.95", "0.975", "0.99", "0.999"])
def test_probabilities_and_zones_are_those_of_scipys_binomial(confidence: str) -> None:
    """Zones start at binomial quantiles, for records from one day to ten years."""
    alpha = float(tail_probability(confidence))
    for t in (1, 10, 100, 250, 255, 500, 750, 2500):
        expected = scipy.stats.binom.cdf(np.arange(60), t, alpha)
        n_last = min(59, t)
        actual = [cumulative_probability(t, n, confidence) for n in range(n_last + 1)]
        np.testing.assert_allclose(actual, expected[: n_last + 1], rtol=1e-10)
        yellow, red = (max(1, int(scipy.stats.binom.ppf(q, t, alpha))) for q in (0.95, 0.9999))
        zones = [of(t, n, confidence).zone for n in range(n_last + 1)]
        assert zones == [
            "red" if n >= red else "yellow" if n >= yellow else "green" for n in range(n_last + 1)
        ]


@pytest.mark.parametrize(("t", "n", "alpha"), [(250, 3, 0.01), (252, 20, 0.05), (1000, 70, 0.05)])
def test_kupiecs_ratio_is_scipys_g_test(t: int, n: int, alpha: float) -> None:
    """The ratio equals the G-test of the observed against the expected counts."""
    expected = scipy.stats.power_divergence(
        [n, t - n], [t * alpha, t * (1 - alpha)], lambda_="log-likelihood"
    )

    actual = of(t, n, at(alpha))

    assert actual.kupiec_lr == pytest.approx(expected.statistic, rel=1e-10)
    assert actual.kupiec_p == pytest.approx(expected.pvalue, rel=1e-10)


@pytest.mark.parametrize("counts", [(218, 14, 14, 6), (900, 45, 45, 9), (5, 4, 3, 2)])
def test_independence_is_scipys_g_test_of_a_table(counts: tuple[int, int, int, int]) -> None:
    """The G-test has no continuity correction; the coverage ratio compares two likelihoods."""
    n00, n01, n10, n11 = counts
    expected = scipy.stats.chi2_contingency(
        [[n00, n01], [n10, n11]], correction=False, lambda_="log-likelihood"
    )
    markov = (
        scipy.stats.binom.logpmf(n01, n00 + n01, n01 / (n00 + n01))
        + scipy.stats.binom.logpmf(n11, n10 + n11, n11 / (n10 + n11))
    ) - (
        scipy.stats.binom.logpmf(n01, n00 + n01, 0.05)
        + scipy.stats.binom.logpmf(n11, n10 + n11, 0.05)
    )

    assert independence(Transitions(*counts)) == pytest.approx(expected.statistic, rel=1e-10)
    assert conditional_coverage(Transitions(*counts), "0.95") == pytest.approx(
        2 * markov, rel=1e-10
    )
