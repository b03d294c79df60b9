"""Mean, standard deviation, skewness and kurtosis of past outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given

from risk_tasks.kernels.history import moments
from tests.reference import moments as naive
from tests.unit.kernels.blocks import UNWRITTEN, Array, assert_same_bits, observed, outcome_rows

NAN = float("nan")


def moments_of(pnl: Array) -> Array:
    """Run `history.moments`."""
    out = np.full((pnl.shape[0], 4), float(UNWRITTEN))
    moments(pnl, out)
    return out


@given(outcome_rows(min_observed=1))
def test_moments_agree_with_their_reference(pnl: Array) -> None:
    """Skewness and kurtosis are compared if the deviation is larger than rounding."""
    for row, found in zip(pnl, moments_of(pnl), strict=True):
        seen = observed(row)
        expected = naive.moments(seen)
        size = max(abs(p) for p in seen)

        np.testing.assert_allclose(found[:2], expected[:2], rtol=0, atol=1e-12 * size)
        if expected[1] > 1e-3 * size:
            np.testing.assert_allclose(found[2:], expected[2:], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [2.0**-500, 1.0, 2.0**490])
def test_skewness_and_kurtosis_do_not_depend_on_the_scale(scale: float) -> None:
    """Fourth powers of large and of small outcomes do not overflow or underflow."""
    pnl = np.array([[-3.0, 1.0, 1.0, NAN, 1.0]])

    found = moments_of(pnl * scale)

    assert found[0, :2].tolist() == [0.0, 3.0**0.5 * scale]
    np.testing.assert_allclose(found[0, 2:], [-2 / 3**0.5, 7 / 3 - 3], rtol=1e-14)


@pytest.mark.parametrize("row", [[], [NAN, NAN], [0.0, 0.0], [0.0, NAN]])
def test_moments_of_constant_outcomes_are_zeros(row: list[float]) -> None:
    """The zeros are positive, and there is no division by 0."""
    assert_same_bits(moments_of(np.array([row], dtype=np.float64)), np.zeros((1, 4)))


@given(outcome_rows(min_observed=2))
def test_a_sign_flip_negates_mean_and_skewness(pnl: Array) -> None:
    """The opposite book has the same deviation and kurtosis."""
    assume(pnl.shape[1] > 0)

    np.testing.assert_array_equal(moments_of(-pnl), moments_of(pnl) * [-1.0, 1.0, -1.0, 1.0])
