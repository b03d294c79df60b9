"""Student's t with a whole number of degrees of freedom, by the finite sums of its distribution.

Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math

from tests.reference import rank


def central_probability(t: float, freedom: int) -> float:
    """A(t | nu) = P(|T| <= t) for t >= 0."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    terms = [term] if freedom > 1 else []
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        terms.append(term)
    total = sine * math.fsum(terms)
    return 2 / math.pi * (angle + total) if odd else total


def quantile(freedom: float, confidence: rank.Confidence) -> float:
    """t with P(T <= t) = c, by halving."""
    alpha = float(rank.tail_probability(confidence))
    if alpha > 0.5:
        return -quantile(freedom, str(rank.tail_probability(confidence)))
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        if central_probability(middle, int(freedom)) < 1 - 2 * alpha:
            low = middle
        else:
            high = middle
    return high if alpha < 0.5 else 0.0


def density(t: float, freedom: float) -> float:
    """f(t) = G((nu + 1) / 2) / (sqrt(nu pi) G(nu / 2)) (1 + t^2 / nu)^(-(nu + 1) / 2)."""
    gammas = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2)
    return gammas / math.sqrt(freedom * math.pi) * (1 + t * t / freedom) ** (-(freedom + 1) / 2)


def value_at_risk(freedom: float, confidence: rank.Confidence) -> float:
    """VaR of a t of mean 0 and standard deviation 1: sqrt((nu - 2) / nu) t_c."""
    return math.sqrt((freedom - 2) / freedom) * quantile(freedom, confidence)


def expected_shortfall(freedom: float, confidence: rank.Confidence) -> float:
    """ES of the same: sqrt((nu - 2) / nu) f(t) / alpha (nu + t^2) / (nu - 1)."""
    t = quantile(freedom, confidence)
    mean = density(t, freedom) / float(rank.tail_probability(confidence))
    return math.sqrt((freedom - 2) / freedom) * mean * (freedom + t * t) / (freedom - 1)
