"""Outcomes weighted by age: `pnl` is a list without missing outcomes, oldest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from tests.reference import rank


def age_weights(n: int, decay: float) -> list[Fraction]:
    """w_k = (1 - d) d^k / (1 - d^n) for the k-th last, in the order of the outcomes; 1 / n at 1."""
    powers = [Fraction(decay) ** age for age in reversed(range(n))]
    return [power / sum(powers) for power in powers]


def ewma_volatility(pnl: Sequence[float], decay: float) -> float:
    """sqrt(sum of w_k p_(T-k)^2), with mean 0; 0 without outcomes."""
    weights = age_weights(len(pnl), decay)
    return math.sqrt(math.fsum(float(w) * p * p for w, p in zip(weights, pnl, strict=True)))


def age_weighted_value_at_risk(
    pnl: Sequence[float], confidence: rank.Confidence, decay: float
) -> float:
    """The loss at which the sum of the weights, from the worst loss on, reaches alpha; exactly."""
    alpha, reached = rank.tail_probability(confidence), Fraction(0)
    for outcome, weight in sorted(zip(pnl, age_weights(len(pnl), decay), strict=True)):
        reached += weight
        if reached >= alpha:
            return -outcome
    return 0.0


def filtered_outcomes(pnl: Sequence[float], decay: float) -> list[float]:
    """p_t s_(n+1) / s_t, s_(t+1)^2 = d s_t^2 + (1 - d) p_t^2, s_1^2 = mean of p^2.

    Omits nonzero outcomes with a forecast s_t of 0.
    """
    variance = math.fsum(p * p for p in pnl) / len(pnl) if pnl else 0.0
    forecasts = []
    for p in pnl:
        forecasts.append(math.sqrt(variance))
        variance = decay * variance + (1 - decay) * (p * p)
    now, pairs = math.sqrt(variance), zip(pnl, forecasts, strict=True)
    return [p * now / s if s else p for p, s in pairs if s or p == 0]
