"""Skewness and kurtosis of outcomes, and the Cornish-Fisher VaR.

`pnl` is a list of P&L without missing outcomes; all moments have n in the denominator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.reference import rank, tail


def moments(pnl: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean, standard deviation, skewness and excess kurtosis; the last two are 0 if sd is 0."""
    n = len(pnl)
    if n == 0:
        return 0.0, 0.0, 0.0, 0.0
    mean = math.fsum(pnl) / n
    sd = math.sqrt(math.fsum((p - mean) ** 2 for p in pnl) / n)
    if sd == 0:
        return mean, 0.0, 0.0, 0.0
    shape = [math.fsum(((p - mean) / sd) ** power for p in pnl) / n for power in (3, 4)]
    return mean, sd, shape[0], shape[1] - 3


def domain_margin(pnl: Sequence[float]) -> float:
    """The margin of the expansion to the edge of its domain: >= 0 if its quantile rises with z.

    Its derivative a' z^2 + b z + c has no two roots: K/8 - S^2/6 >= 0, and
    S^2/9 - 4 (K/8 - S^2/6)(1 - K/8 + 5 S^2/36) <= 0.
    """
    _, _, s, k = moments(pnl)
    a = k / 8 - s * s / 6
    return min(a, 4 * a * (1 - k / 8 + 5 * s * s / 36) - s * s / 9)


def cornish_fisher_value_at_risk(pnl: Sequence[float], confidence: rank.Confidence) -> float:
    """-(mean + q sd), q = z + (z^2-1) S/6 + (z^3-3z) K/24 - (2z^3-5z) S^2/36, or z outside."""
    mean, sd, s, k = moments(pnl)
    z = -tail.normal_quantile(confidence)
    q = z
    if domain_margin(pnl) >= 0:
        q += (z * z - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s * s / 36
    return -(mean + q * sd)
