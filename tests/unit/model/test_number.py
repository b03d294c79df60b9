"""Which values from outside are accepted as a number."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.model.values import as_finite

NUMBERS = [3, 3.0, Decimal("3.0"), Fraction(3), np.float64(3), np.float32(3), np.int64(3)]
NO_NUMBERS = [
    *("3", "", b"3", None, True, False, [3.0], {}, object(), 3 + 0j),
    *(float("nan"), float("inf"), -float("inf"), np.float64("nan"), np.float32("inf")),
    *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1e400"), 10**400, -(10**400)),
    *(np.complex128(3 + 4j), np.bytes_(b"3"), b"3", np.array("3"), np.array(True), np.array(3.0)),
    *(np.str_("3"), np.array([3.0, 4.0]), np.datetime64("2020-01-02"), np.timedelta64(3, "D")),
]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_every_real_number_is_read_as_a_float(number):
    """Decimals, fractions and NumPy's scalars too."""
    read = as_finite(number)

    assert read == 3.0
    assert type(read) is float


@pytest.mark.parametrize("number", NO_NUMBERS, ids=lambda number: repr(number)[:20])
def test_anything_but_a_finite_number_is_refused(number):
    """Texts, booleans, and numbers that overflow a float."""
    assert as_finite(number) is None


@pytest.mark.parametrize("truth", [np.True_, np.False_])
def test_booleans_of_numpy_are_refused(truth):
    """A mask passed as a column of quantities is not a position of one unit."""
    assert as_finite(truth) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_unchanged(number):
    """To the last bit."""
    assert repr(as_finite(number)) == repr(number)
