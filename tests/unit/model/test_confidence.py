"""Confidence as decimal text, and the ranks that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.model.measures import (
    VarConvention,
    min_observations,
    parse_confidence,
    tail_probability,
    tail_rank,
    var_position,
)
from tests.reference import rank as naive

A_RANK, B_RANK = "conservative_rank", "loss_quantile_rank"

#: Confidences of up to four decimals, as text.
texts = st.integers(1, 9999).map(lambda parts: str(Decimal(parts) / 10_000))


def test_ranks_equal_all_rows_of_exact_arithmetic(
    vectors: Callable[[str], Any],
) -> None:
    """Eighty windows and levels for which binary floating point gives the wrong scenario."""
    rows = vectors("order_statistic_traps")["rows"]
    expected = {(r["n"], r["confidence"]): (r[A_RANK], r[B_RANK]) for r in rows}

    actual = {
        (n, confidence): (
            1 + var_position(n, confidence, VarConvention.CONSERVATIVE),
            1 + var_position(n, confidence, VarConvention.LOSS_QUANTILE),
        )
        for n, confidence in expected
    }

    assert len(expected) == 80
    assert actual == expected


def test_the_tail_rank_of_expected_shortfall_is_the_conservative_rank(
    vectors: Callable[[str], Any],
) -> None:
    """Both read the same worst outcomes, in all eighty rows."""
    rows = vectors("order_statistic_traps")["rows"]

    actual = [tail_rank(row["n"], row["confidence"]) for row in rows]

    assert actual == [row[A_RANK] for row in rows]


@pytest.mark.parametrize(
    ("n", "confidence", "conservative", "loss_quantile", "linear"),
    [
        (100, "0.95", 4, 5, Fraction(99, 20)),
        (250, "0.99", 2, 2, Fraction(249, 100)),
        (500, "0.99", 4, 5, Fraction(499, 100)),
        (50, "0.99", 0, 0, Fraction(49, 100)),
        (1, "0.99", 0, 0, Fraction(0)),
    ],
)
def test_the_var_position_counts_the_worse_outcomes(
    n: int, confidence: str, conservative: int, loss_quantile: int, linear: Fraction
) -> None:
    """The fifth worst of a hundred is at 4; only `linear` is between two outcomes."""
    positions = [var_position(n, confidence, convention) for convention in VarConvention]

    assert positions == [conservative, loss_quantile, linear]
    assert {type(position) for position in positions} == {Fraction}


@given(st.integers(1, 3000), texts)
def test_the_var_position_equals_the_reference_rank(n: int, confidence: str) -> None:
    """Under each convention; the reference counts from 1."""
    for convention in VarConvention:
        lower, _, weight = naive.interpolation(n, confidence, convention.value)

        assert var_position(n, confidence, convention) == lower - 1 + weight


@given(st.integers(1, 3000), texts)
def test_the_var_position_is_inside_the_window(n: int, confidence: str) -> None:
    """There is an outcome at it, and a next one if it is between two."""
    for convention in VarConvention:
        position = var_position(n, confidence, convention)

        assert 0 <= position <= n - 1


@given(st.integers(1, 3000), texts)
def test_the_tail_rank_equals_the_reference_rank(n: int, confidence: str) -> None:
    """Both are max(1, ceil(n alpha)), never beyond the window."""
    assert tail_rank(n, confidence) == naive.tail_rank(n, confidence)
    assert 1 <= tail_rank(n, confidence) <= n


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [("0.5", 2), ("0.9", 10), ("0.95", 20), ("0.97", 34), ("0.975", 40), ("0.99", 100)],
)
def test_the_shortest_window_reaches_the_tail(confidence: str, expected: int) -> None:
    """1 / alpha observations, rounded up; in floating point 0.9 would give eleven."""
    assert min_observations(confidence) == expected


@given(texts)
def test_the_shortest_window_is_the_first_with_a_whole_outcome_in_the_tail(confidence: str) -> None:
    """With one observation fewer the tail has less than one outcome."""
    n = min_observations(confidence)

    assert n == naive.minimal_observations(confidence)
    assert n * tail_probability(confidence) >= 1
    assert (n - 1) * tail_probability(confidence) < 1


@given(texts)
def test_the_tail_probability_is_exact(confidence: str) -> None:
    """Confidence and tail probability sum to one, without rounding."""
    assert tail_probability(confidence) + Fraction(confidence) == 1
    assert tail_probability(confidence) == naive.tail_probability(confidence)


@pytest.mark.parametrize(
    "value",
    ["0.95", "0.950", " 0.95 ", ".95", "95e-2", 0.95, Decimal("0.95"), np.float64(0.95)],
    ids=repr,
)
def test_a_confidence_has_one_canonical_text(value: Any) -> None:
    """Text, Decimal and float of one level have the same rank and the same hash."""
    assert parse_confidence(value) == "0.95"


@given(texts)
def test_text_decimal_and_float_are_equivalent(text: str) -> None:
    """A float is read by its shortest text, not by its binary expansion."""
    assert parse_confidence(float(text)) == parse_confidence(text)
    assert parse_confidence(Decimal(text)) == parse_confidence(text)
    assert Fraction(parse_confidence(text)) == Fraction(text)


@given(texts)
def test_canonical_text_is_parsed_to_itself(text: str) -> None:
    canonical = parse_confidence(text)

    assert parse_confidence(canonical) == canonical


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, 0.0, 1.0, "0", "1.000", -0.5, 1.5, 99, "99%", "", "high", None, True, False),
        *(float("nan"), float("inf"), "nan", "snan", "-inf", Decimal("NaN"), [0.99], b"0.99"),
    ],
    ids=repr,
)
def test_an_invalid_confidence_names_the_field(value: Any) -> None:
    """Everything but a number strictly between 0 and 1 is refused."""
    with pytest.raises(InvalidSettingsError) as caught:
        parse_confidence(value, field="settings.confidence")

    assert caught.value.field == "settings.confidence"
    assert caught.value.code == "invalid_settings"
    assert caught.value.remedy != InvalidSettingsError().remedy


@pytest.mark.parametrize("digits", [1, 19, 20])
@pytest.mark.parametrize("digit", ["1", "9"])
def test_a_confidence_of_up_to_twenty_digits_keeps_them_all(digit: str, digits: int) -> None:
    """The last digit can change the rank."""
    text = "0." + digits * digit

    assert parse_confidence(text) == text


@pytest.mark.parametrize("value", ["0." + 21 * "9", "0." + 21 * "1", "1e-21", "0.9" + 20 * "0"])
def test_a_confidence_of_more_digits_is_refused(value: str) -> None:
    """Rounding would change the rank; the error states the maximum of digits."""
    with pytest.raises(InvalidSettingsError) as caught:
        parse_confidence(value)

    assert str(caught.value) == (
        f"confidence: Invalid confidence {value!r}: expected a number between 0 and 1. "
        "Use at most 20 decimal places, such as 0.99."
    )


@pytest.mark.parametrize(
    "value",
    ["0." + 29 * "9", "1e-999999", "1e-2000000", "1e-999999999"],
    ids=["29 nines", "1e-999999", "1e-2000000", "1e-999999999"],
)
def test_an_extreme_confidence_is_refused_or_stays_inside_the_unit_interval(value: str) -> None:
    """Canonical text is never 0 or 1 by rounding, where 1 / alpha has no value, and never huge."""
    try:
        text = parse_confidence(value)
    except InvalidSettingsError:
        return

    assert len(text) <= 100
    assert 0 < Fraction(text) < 1


def test_the_default_field_name_is_confidence() -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        parse_confidence("2")

    assert caught.value.field == "confidence"


def test_a_convention_may_be_given_as_text():
    for convention in VarConvention:
        assert var_position(100, "0.95", convention.value) == var_position(100, "0.95", convention)
    with pytest.raises(ValueError, match="lucky"):
        var_position(100, "0.95", "lucky")
