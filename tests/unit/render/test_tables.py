"""Formats of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.model.registry import Unit
from risk_tasks.model.report import Measure
from risk_tasks.render.tables import cell, full, short

CCY, FRACTION, RATIO = Unit.CURRENCY.value, Unit.FRACTION.value, Unit.RATIO.value

SHORT = [
    (0.0, CCY, "0"),
    (0.004, CCY, "0.00"),
    (1.0, CCY, "1.00"),
    (99.5, CCY, "99.50"),
    (100.0, CCY, "100"),
    (999.4, CCY, "999"),
    (999.5, CCY, "1.00k"),
    (1_000.0, CCY, "1.00k"),
    (12_345.0, CCY, "12.35k"),
    (100_000.0, CCY, "100.0k"),
    (123_456.0, CCY, "123.5k"),
    (999_400.0, CCY, "999.4k"),
    (999_500.0, CCY, "1.00m"),
    (10_012_345.0, CCY, "10.01m"),
    (-10_012_345.0, CCY, "-10.01m"),
    (1.5e9, CCY, "1.50bn"),
    (2.5e12, CCY, "2.50t"),
    (1e18, CCY, "1000000.0t"),
    (-0.5, CCY, "-0.50"),
    (-250.0, CCY, "-250"),
    (0.3567, FRACTION, "35.7 %"),
    (1.0, FRACTION, "100.0 %"),
    (0.0, FRACTION, "0.0 %"),
    (1.8449, RATIO, "1.84x"),
    (0.0, RATIO, "0.00x"),
    (12_000.0, RATIO, "12000.00x"),
]


@pytest.mark.parametrize(("value", "unit", "expected"), SHORT)
def test_a_short_number_has_about_four_digits(value, unit, expected):
    """Currency with a suffix, fractions in per cent, ratios with an x."""
    assert short(value, unit) == expected


FULL = [
    (0.0, CCY, "0"),
    (1_662_114.4, CCY, "1,662,114"),
    (-1_662_114.6, CCY, "-1,662,115"),
    (999.0, CCY, "999"),
    (100.25, CCY, "100"),
    (99.75, CCY, "99.75"),
    (99.0, CCY, "99"),
    (0.004, CCY, "0"),
    (0.442, FRACTION, "44.2 %"),
    (3.5449, RATIO, "3.54x"),
]


@pytest.mark.parametrize(("value", "unit", "expected"), FULL)
def test_a_full_number_has_thousands_separators(value, unit, expected):
    """Thresholds are not rounded to thousands."""
    assert full(value, unit) == expected


@pytest.mark.parametrize("value", [-0.004, -1e-9, -0.0])
def test_a_value_that_rounds_to_zero_has_no_sign(value):
    """-0 is not an amount."""
    assert full(value, CCY) == "0"


@pytest.mark.parametrize(("value", "expected"), [(0.25, "0.25"), (-3.14159, "-3.14")])
def test_small_amounts_keep_their_decimals(value, expected):
    """In a book in bitcoin a limit of 0.25 is not 0."""
    assert full(value, CCY).startswith(expected)


@given(st.floats(1.0, 1e15), st.sampled_from([1, -1]))
def test_a_short_number_can_be_read_back(value, sign):
    """Within 0.5 %, with its sign."""
    scales = {"k": 1e3, "m": 1e6, "bn": 1e9, "t": 1e12}
    text = short(sign * value, CCY)
    suffix = text.lstrip("-0123456789.")

    read = float(text.removesuffix(suffix)) * scales.get(suffix, 1.0)

    assert read == pytest.approx(sign * value, rel=0.0051)


def test_a_measure_without_a_value_is_a_dash_with_the_reason():
    """Or with its status if it has no reason."""
    assert cell(Measure(None, CCY, "insufficient_data", "window_too_short")) == "- window too short"
    assert cell(Measure(None, RATIO, "undefined", "nav_unknown")) == "- nav unknown"
    assert cell(Measure(None, RATIO, "error")) == "- error"
    assert cell(Measure(1234.0, CCY, "ok")) == "1.23k"
    assert cell(Measure(-5.0, CCY, "ok", "negative_var")) == "-5.00"
