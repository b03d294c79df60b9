"""The naive contributions, checked by Euler's theorem and by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import scenario, tail

NAN = float("nan")
N_OBSERVATIONS = 12
values = st.integers(-800, 800).map(lambda eighths: eighths / 8)
moves = st.integers(-32, 32).map(lambda parts: parts / 64)
books = st.lists(values, min_size=1, max_size=4).map(lambda row: list(enumerate(row)))
panels = st.lists(
    st.lists(moves, min_size=N_OBSERVATIONS, max_size=N_OBSERVATIONS), min_size=4, max_size=4
)
confidences = st.sampled_from(["0.5", "0.75", "0.9", "0.95"])
Book = list[tuple[int, float]]
Panel = list[list[float]]


@given(books, panels)
def test_volatility_contributions_add_up(book: Book, panel: Panel) -> None:
    """Their sum is the standard deviation of the P&L."""
    pnl = scenario.profit_and_loss(book, panel, N_OBSERVATIONS)
    shares = tail.volatility_contributions(book, panel, N_OBSERVATIONS)

    assert math.fsum(shares) == pytest.approx(tail.standard_deviation(pnl), rel=1e-9)


@given(books, panels, confidences)
def test_value_at_risk_contributions_add_up(book: Book, panel: Panel, confidence: str) -> None:
    """Their sum is the conservative VaR, exactly."""
    pnl = scenario.profit_and_loss(book, panel, N_OBSERVATIONS)
    shares = tail.value_at_risk_contributions(book, panel, N_OBSERVATIONS, confidence)

    assert math.fsum(shares) == tail.value_at_risk(pnl, confidence)


@given(books, panels, confidences)
def test_expected_shortfall_contributions_add_up(book: Book, panel: Panel, confidence: str) -> None:
    """Their sum is the expected shortfall."""
    pnl = scenario.profit_and_loss(book, panel, N_OBSERVATIONS)
    shares = tail.expected_shortfall_contributions(book, panel, N_OBSERVATIONS, confidence)

    assert math.fsum(shares) == pytest.approx(
        tail.expected_shortfall(pnl, confidence), rel=1e-12, abs=1e-12
    )


def test_contributions_of_a_book_worked_by_hand() -> None:
    """Four days, two names, one of them a hedge; the half tail is the two worst days."""
    book = [(0, 100.0), (1, -40.0)]
    panel = [[-0.25, 0.125, -0.5, 0.0], [-0.25, 0.0, -0.25, 0.125]]

    # P&L: -15, 12.5, -40, -5
    assert tail.value_at_risk_contributions(book, panel, 4, "0.5") == [25.0, -10.0]
    assert tail.expected_shortfall_contributions(book, panel, 4, "0.5") == [37.5, -10.0]


def test_contributions_ignore_observations_with_a_gap() -> None:
    """A day without a return of a held instrument is excluded; other instruments do not matter."""
    book = [(0, 100.0), (1, 0.0)]
    panel = [[-0.25, NAN, -0.5], [NAN, NAN, NAN]]

    assert tail.value_at_risk_contributions(book, panel, 3, "0.5") == [50.0, 0.0]
    assert tail.expected_shortfall_contributions(book, panel, 3, "0.5") == [50.0, 0.0]
    assert tail.volatility_contributions(book, panel, 3) == pytest.approx([12.5 * 2**0.5, 0.0])
