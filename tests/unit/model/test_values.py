"""Which numbers, names, mappings and choices are accepted, and the errors for all others."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import RiskTasksError
from risk_tasks.model.measures import Precision
from risk_tasks.model.values import (
    as_finite,
    require_choice,
    require_finite,
    require_mapping,
    require_name,
    require_whole,
)

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


CHECKS = {
    "name": (lambda: require_name("", "x", RiskTasksError), "Give non-empty text"),
    "number": (lambda: require_finite("5", "x", RiskTasksError), "Give a number that is not"),
    "mapping": (lambda: require_mapping([], "x", RiskTasksError), "Give a mapping"),
    "choice": (lambda: require_choice("a", Precision, "x", RiskTasksError), "Give one of these"),
    "integer": (lambda: require_whole(0, "x", RiskTasksError, least=1), "Give an integer"),
}


@pytest.mark.parametrize(("check", "remedy"), CHECKS.values(), ids=CHECKS.keys())
def test_an_invalid_value_is_refused_with_its_own_remedy(check, remedy):
    """Not with that of the error's class, which can be about something else."""
    with pytest.raises(RiskTasksError) as caught:
        check()

    assert caught.value.field == "x"
    assert caught.value.remedy.startswith(remedy)
