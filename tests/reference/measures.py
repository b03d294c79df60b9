"""The twin of each measure of the past: one line a measure, and what it takes to have a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.reference import rank, tail


@dataclass(frozen=True)
class Twin:
    """`value` of one-day outcomes under a confidence and a convention, before the horizon.

    `n_required` is the shortest window for a confidence. `moved_by` bounds how far the value moves
    where each of n outcomes moves by 1 at most.
    """

    value: Callable[[Sequence[float], str, str], float]
    n_required: Callable[[str], int]
    moved_by: Callable[[int, str], float]


def _of_a_spread(n: int, confidence: str) -> float:
    return math.sqrt(n / (n - 1))


OF_HISTORY = {
    "volatility": Twin(
        lambda pnl, confidence, convention: tail.standard_deviation(pnl),
        lambda confidence: 2,
        _of_a_spread,
    ),
    "value_at_risk": Twin(tail.value_at_risk, rank.minimal_observations, lambda n, confidence: 1.0),
    "expected_shortfall": Twin(
        lambda pnl, confidence, convention: tail.expected_shortfall(pnl, confidence),
        rank.minimal_observations,
        lambda n, confidence: 1.0,
    ),
    "parametric_value_at_risk": Twin(
        lambda pnl, confidence, convention: tail.parametric_value_at_risk(pnl, confidence),
        lambda confidence: 2,
        lambda n, confidence: _of_a_spread(n, confidence) * abs(tail.normal_quantile(confidence)),
    ),
    "semi_deviation": Twin(
        lambda pnl, confidence, convention: tail.semi_deviation(pnl),
        lambda confidence: 2,
        # Each departure moves with its outcome and with the mean.
        lambda n, confidence: 2 * _of_a_spread(n, confidence),
    ),
}
