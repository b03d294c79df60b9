"""Measures that suppose a distribution, against printed tables, quadrature and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from tests.certification.worth_one import measured

#: sample standard deviation 1
UNIT = np.array([1.0, -1.0] * 50) * np.sqrt(99 / 100)

# As tables of Student's t print it: degrees of freedom, confidence, t.
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
    """To the three decimals of the table, once the variance is made 1."""
    name = f"student_value_at_risk@{confidence}"

    actual = measured(name, UNIT, degrees_of_freedom=freedom)

    assert actual / np.sqrt((freedom - 2) / freedom) == pytest.approx(t, abs=5e-4)


@pytest.mark.parametrize("freedom", [2.5, 3, 5, 7.25, 40])
@pytest.mark.parametrize("confidence", ["0.75", "0.95", "0.99", "0.999"])
def test_student_expected_shortfall_is_the_mean_of_the_tail(freedom, confidence) -> None:
    """By quadrature of t f(t) beyond the quantile, over alpha."""
    t = scipy.stats.t(freedom)
    alpha = 1 - float(confidence)
    beyond, _ = scipy.integrate.quad(
        lambda x: x * t.pdf(x), t.isf(alpha), np.inf, epsabs=0, epsrel=1e-11
    )

    actual = measured(f"student_expected_shortfall@{confidence}", UNIT, degrees_of_freedom=freedom)

    assert actual == pytest.approx(np.sqrt((freedom - 2) / freedom) * beyond / alpha, rel=1e-9)


def test_student_expected_shortfall_of_the_reference() -> None:
    """Five degrees of freedom at 99 %: 3.448837 standard deviations."""
    actual = measured("student_expected_shortfall@0.99", UNIT)

    assert actual == pytest.approx(3.448837, abs=5e-7)


@pytest.mark.parametrize("freedom", [1e8, 1e12, 1e300, 1.7e308])
def test_student_of_ever_more_freedom_is_normal(freedom) -> None:
    """Neither overflows nor cancels; ES against sd x phi(z) / alpha."""
    z = scipy.stats.norm.ppf(0.99)

    var = measured("student_value_at_risk@0.99", UNIT, degrees_of_freedom=freedom)
    shortfall = measured("student_expected_shortfall@0.99", UNIT, degrees_of_freedom=freedom)

    assert var == pytest.approx(z, rel=1e-7)
    assert shortfall == pytest.approx(scipy.stats.norm.pdf(z) / 0.01, rel=1e-7)
