"""Measures that assume a distribution, against printed tables, quadrature and other libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from risk_tasks.engine import contributions, parametric
from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings
from tests.certification.worth_one import book_of, column, market_of, measured

#: returns with a sample standard deviation of 1
UNIT = np.array([1.0, -1.0] * 50) * np.sqrt(99 / 100)

# A printed table of Student's t: degrees of freedom, confidence, t.
PRINTED = [
    (3, "0.95", 2.353),
    (3, "0.99", 4.541),
    (5, "0.95", 2.015),
    (5, "0.975", 2.571),
    (5, "0.99", 3.365),
    (10, "0.95", 1.812),
    (10, "0.99", 2.764),
    (30, "0.95", 1.697),
    (30, "0.99", 2.457),
]


@pytest.mark.parametrize(("freedom", "confidence", "t"), PRINTED)
def test_student_value_at_risk_is_the_printed_quantile(freedom, confidence, t) -> None:
    """Scaled to a variance of 1, it has the three decimals of the table."""
    name = f"student_value_at_risk@{confidence}"

    actual = measured(name, UNIT, degrees_of_freedom=freedom)

    assert actual / np.sqrt((freedom - 2) / freedom) == pytest.approx(t, abs=5e-4)


@pytest.mark.parametrize("freedom", [2.5, 3, 5, 7.25, 40])
@pytest.mark.parametrize("confidence", ["0.75", "0.95", "0.99", "0.999"])
def test_student_expected_shortfall_is_the_mean_of_the_tail(freedom, confidence) -> None:
    """It equals the integral of t f(t) beyond the quantile, over alpha, by quadrature."""
    t = scipy.stats.t(freedom)
    alpha = 1 - float(confidence)
    beyond, _ = scipy.integrate.quad(
        lambda x: x * t.pdf(x), t.isf(alpha), np.inf, epsabs=0, epsrel=1e-11
    )

    actual = measured(f"student_expected_shortfall@{confidence}", UNIT, degrees_of_freedom=freedom)

    assert actual == pytest.approx(np.sqrt((freedom - 2) / freedom) * beyond / alpha, rel=1e-9)


def test_student_expected_shortfall_of_the_reference() -> None:
    """At five degrees of freedom and 99 %, it is 3.448837 standard deviations."""
    actual = measured("student_expected_shortfall@0.99", UNIT)

    assert actual == pytest.approx(3.448837, abs=5e-7)


@pytest.mark.parametrize("freedom", [1e8, 1e12, 1e300, 1.7e308])
def test_student_measures_converge_to_normal_ones(freedom) -> None:
    """Many degrees of freedom do not overflow; the normal ES is sd x phi(z) / alpha."""
    z = scipy.stats.norm.ppf(0.99)

    var = measured("student_value_at_risk@0.99", UNIT, degrees_of_freedom=freedom)
    shortfall = measured("student_expected_shortfall@0.99", UNIT, degrees_of_freedom=freedom)

    assert var == pytest.approx(z, rel=1e-7)
    assert shortfall == pytest.approx(scipy.stats.norm.pdf(z) / 0.01, rel=1e-7)


# Basis points of the EDHEC convertible arbitrage index, January 1997 to April 2005: edhec[1:100, 1]
# of PerformanceAnalytics; its results are in its test-VaR_archive_baseline.R.
EDHEC = """
119 123 78 86 156 212 193 134 122 100 0 68 145 146 144 126 56 -6 60 -319 -196 -214 269 113 219
82 136 243 166 102 101 48 96 45 124 140 227 267 243 223 149 179 93 162 141 52 -81 -2 344 182
162 157 33 12 91 142 78 117 80 -94 148 -49 53 96 33 4 -159 50 146 104 251 157 283 133 89 150
136 -58 -72 -87 171 146 92 54 119 17 61 20 -128 -106 13 40 -17 -44 81 56 -96 -58 -140 -316
"""


def test_cornish_fisher_value_at_risk_of_performance_analytics() -> None:
    """Its modified VaR, with the opposite sign, agrees to the six decimals of its baseline."""
    returns = np.array(EDHEC.split(), dtype=float) / 1e4

    found = column("cornish_fisher_value_at_risk@0.95", returns)

    assert len(returns) == 100
    assert Outcome(found.outcomes[0]) is Outcome.OK
    assert found.values[0] == pytest.approx(0.014674, abs=5e-7)


def test_outside_the_domain_it_is_the_normal_value_of_performance_analytics() -> None:
    """On these returns its Gaussian VaR (with mean, n in the denominator) is 0.012133."""
    returns = np.array(EDHEC.split(), dtype=float) / 1e4
    # The mean and the standard deviation of the index, with much skewness and little kurtosis.
    lopsided = np.where(np.arange(100) < 10, -3.0, 1 / 3)
    lopsided = returns.mean() + lopsided * returns.std()

    found = column("cornish_fisher_value_at_risk@0.95", lopsided)

    assert Outcome(found.outcomes[0]) is Outcome.OUTSIDE_DOMAIN
    assert found.values[0] == pytest.approx(0.012133, abs=5e-7)


@pytest.mark.parametrize("confidence", ["0.6", "0.95", "0.99", "0.999"])
def test_cornish_fisher_value_at_risk_with_scipys_moments(confidence: str) -> None:
    """Skewness and kurtosis have n in the denominator, as by default in scipy."""
    returns = 0.01 * np.random.default_rng(3).logistic(size=2000) + 0.001
    s, k = scipy.stats.skew(returns), scipy.stats.kurtosis(returns)
    z = scipy.stats.norm.isf(float(confidence))
    q = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36

    found = column(f"cornish_fisher_value_at_risk@{confidence}", returns, horizon_days=4)

    expected = -(returns.mean() + q * returns.std()) * 2
    assert Outcome(found.outcomes[0]) is Outcome.OK
    assert found.values[0] == pytest.approx(expected, rel=1e-10)


def test_cornish_fisher_coefficients_of_priips(vectors: Callable[[str], Any]) -> None:
    """They agree at z = -1.96 with the regulation; its formula subtracts the last one."""
    vector = vectors("misc_textbook")["priips_cornish_fisher"]
    z, printed = vector["z"], vector["coefficients"]

    def quantile(s: float, k: float) -> float:
        return float(parametric._expansion(z, s, k)) - z

    assert quantile(1.0, 0.0) + quantile(-1.0, 0.0) == pytest.approx(-2 * printed["S2"], abs=1e-3)
    assert (quantile(1.0, 0.0) - quantile(-1.0, 0.0)) / 2 == pytest.approx(printed["S"], abs=5e-4)
    assert quantile(0.0, 1.0) == pytest.approx(printed["K"], abs=5e-5)


def test_the_domain_is_where_the_expansion_rises() -> None:
    """On a grid of shapes, quantiles at a thousand confidences rise exactly in the domain."""
    z = np.linspace(-60, 60, 24_001)
    # Shapes between the nodes, so that none is on the edge of the domain.
    shapes = [
        (s, k) for s in np.linspace(-3.013, 3.017, 22) for k in np.linspace(-1.987, 14.03, 24)
    ]

    found = [bool(parametric._expands(s, k)) for s, k in shapes]
    rises = [bool((np.diff(parametric._expansion(z, s, k)) > 0).all()) for s, k in shapes]

    assert len(shapes) == 528
    assert found == rises
    assert 0 < sum(found) < 528


def test_cornish_fisher_parts_are_derivatives() -> None:
    """They equal V_i dVaR / dV_i by central differences, for three correlated positions."""
    random = np.random.default_rng(5)
    panel = 0.01 * (random.logistic(size=(2000, 3)) + random.logistic(size=(2000, 1)))
    value = np.array([3.0, -1.0, 2.0])
    name = MeasureName.parse("cornish_fisher_value_at_risk@0.99")

    def value_at_risk(value: np.ndarray) -> float:
        return measured(str(name), panel @ value)

    steps = 1e-4 * np.eye(3)
    slopes = [(value_at_risk(value + e) - value_at_risk(value - e)) / 2e-4 for e in steps]
    parts = contributions(book_of(value), market_of(panel), name, MeasureSettings(), 0)

    np.testing.assert_allclose(parts, value * slopes, rtol=1e-6)
