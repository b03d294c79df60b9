"""The covariance of Ledoit and Wolf, from the formulas of their paper of 2004; exactly.

`returns` is one list of observations for each instrument, without missing ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

Matrix = list[list[Fraction]]


def departures(returns: Sequence[Sequence[float]]) -> Matrix:
    """Each return less the mean of its instrument."""
    rows = [[Fraction(step) for step in steps] for steps in returns]
    return [[step - sum(row) / len(row) for step in row] for row in rows]


def squared_norm(matrix: Matrix) -> Fraction:
    """The sum of all squares."""
    return sum((entry * entry for row in matrix for entry in row), Fraction(0))


def product(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    """The sum of the products."""
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def less(left: Matrix, right: Matrix) -> Matrix:
    """Entry by entry."""
    return [[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(left, right, strict=True)]


def shrunk_covariance(returns: Sequence[Sequence[float]]) -> tuple[Matrix, Fraction]:
    """S* = (1 - s) S + s mu I and s = min(b, d) / d.

    S has n in the denominator; d = |S - mu I|^2, b = sum of |x_t x_t' - S|^2 / n^2. Where d is 0
    s is 0.
    """
    x = departures(returns)
    m, n = len(x), len(x[0])
    sample = [[product(left, right) / n for right in x] for left in x]
    mu = sum((sample[i][i] for i in range(m)), Fraction(0)) / m
    target = [[mu if i == j else Fraction(0) for j in range(m)] for i in range(m)]
    d = squared_norm(less(sample, target))
    days = [[[x[i][t] * x[j][t] for j in range(m)] for i in range(m)] for t in range(n)]
    b = sum((squared_norm(less(day, sample)) for day in days), Fraction(0)) / (n * n)
    s = min(b, d) / d if d else Fraction(0)
    drawn = [[(1 - s) * sample[i][j] + s * target[i][j] for j in range(m)] for i in range(m)]
    return drawn, s


def shrunk_volatility(value: Sequence[float], returns: Sequence[Sequence[float]]) -> float:
    """sqrt(V' S* V); 0 for an empty book."""
    if not value:
        return 0.0
    largest = max(map(abs, value))
    share = [Fraction(v) / Fraction(largest) for v in value]
    covariance, _ = shrunk_covariance(returns)
    variance = product(share, [product(row, share) for row in covariance])
    return largest * math.sqrt(variance)
