"""Ranks of the losses that determine the VaR, by rational arithmetic; rank 1 is the worst.

docs/reference/measures.md describes the conventions.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

Confidence = str | Decimal | float
CONVENTIONS = ("conservative", "loss_quantile", "linear")


def tail_probability(confidence: Confidence) -> Fraction:
    """Tail probability alpha = 1 - c, exactly; a float has the value of its shortest text."""
    return 1 - Fraction(str(confidence))


def tail_rank(n: int, confidence: Confidence) -> int:
    """Rank under `conservative`, and the last rank in the tail of ES: k = max(1, ceil(n alpha))."""
    return max(1, math.ceil(n * tail_probability(confidence)))


def loss_quantile_rank(n: int, confidence: Confidence) -> int:
    """Rank of the lower quantile of the losses at c: floor(n alpha) + 1, at most n."""
    return min(n, math.floor(n * tail_probability(confidence)) + 1)


def linear_rank(n: int, confidence: Confidence) -> Fraction:
    """Fractional rank of Hyndman and Fan's type 7, counted from the worst: 1 + (n - 1) alpha."""
    return 1 + (n - 1) * tail_probability(confidence)


def interpolation(n: int, confidence: Confidence, convention: str) -> tuple[int, int, Fraction]:
    """Ranks `lower`, `upper` and weight w such that VaR = (1 - w) loss[lower] + w loss[upper]."""
    if convention == "conservative":
        rank = tail_rank(n, confidence)
        return rank, rank, Fraction(0)
    if convention == "loss_quantile":
        rank = loss_quantile_rank(n, confidence)
        return rank, rank, Fraction(0)
    if convention == "linear":
        exact = linear_rank(n, confidence)
        lower = math.floor(exact)
        return lower, min(n, lower + 1), exact - lower
    raise ValueError(convention)


def binomial_quantile(n: int, alpha: Fraction, probability: Fraction) -> int:
    """The smallest x with P(X <= x) >= probability, X binomial (n, alpha); exactly."""
    total = Fraction(0)
    for x in range(n + 1):
        total += math.comb(n, x) * alpha**x * (1 - alpha) ** (n - x)
        if total >= probability:
            return x
    raise ValueError(probability)


def interval(n: int, confidence: Confidence) -> tuple[int, int]:
    """Ranks of the ends of the 95 % interval of the quantile, the larger loss first.

    The l-th worst loss is smaller than the true VaR with P(X <= l - 1) < 2.5 %, the u-th worst
    larger with P(X >= u) <= 2.5 %; 0 and n + 1 are beyond all outcomes.
    """
    alpha = tail_probability(confidence)
    lower, upper = (binomial_quantile(n, alpha, Fraction(p, 1000)) for p in (25, 975))
    return lower, upper + 1


def minimal_observations(confidence: Confidence) -> int:
    """The smallest number of observations with a tail: ceil(1 / alpha)."""
    return math.ceil(1 / tail_probability(confidence))
