"""Random outcomes of a book, path by path.

Bits are NumPy's own Philox; the rest is plain loops. Held instruments are in the order of the
market, a path is followed by its antithetic path, and returns have a mean of 0.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Protocol

import numpy as np

from tests.reference import scenario, tail

Matrix = list[list[float]]


class Settings(Protocol):
    """The settings that the reference reads."""

    n_paths: int
    seed: int
    distribution: str
    degrees_of_freedom: float


@lru_cache(maxsize=256)
def uniforms(seed: int, name: str, n: int) -> list[float]:
    """(k + 1/2) / 2^52 of the upper 52 bits of each of the first n draws of a name."""
    stream = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    key = np.array([seed, stream], dtype=np.uint64)
    return [((int(bits) >> 12) + 0.5) / 2**52 for bits in np.random.Philox(key=key).random_raw(n)]


@lru_cache(maxsize=256)
def normals(seed: int, name: str, n: int) -> list[float]:
    """The standard normal quantile of each."""
    return [NormalDist().inv_cdf(u) for u in uniforms(seed, name, n)]


@lru_cache(maxsize=64)
def shared_factors(seed: int, freedom: float, n: int) -> list[float]:
    """sqrt((nu - 2) / X), X the chi-square quantile of the draws of the empty name."""
    drawn = uniforms(seed, "", n)
    return [math.sqrt((freedom - 2) / chi_square_quantile(u, int(freedom))) for u in drawn]


def chi_square_quantile(u: float, freedom: int) -> float:
    """x with P(X <= x) = u, by halving."""
    low, high = 0.0, 1000.0
    for _ in range(100):
        middle = (low + high) / 2
        if 1 - chi_square_survival(middle, freedom) < u:
            low = middle
        else:
            high = middle
    return high


def chi_square_survival(x: float, freedom: int) -> float:
    """Q(x | nu) as a finite sum: Abramowitz and Stegun, 26.4.4 and 26.4.5."""
    half, a = x / 2, 0.5 if freedom % 2 else 1.0
    total = math.erfc(math.sqrt(half)) if freedom % 2 else math.exp(-half)
    while a < freedom / 2:
        total += half**a * math.exp(-half) / math.gamma(a + 1)
        a += 1
    return total


def covariance_matrix(series: Sequence[Sequence[float]]) -> Matrix:
    """Sample covariances, n - 1 in the denominator."""
    return [[tail.covariance(left, right) for right in series] for left in series]


def cholesky(matrix: Matrix) -> Matrix:
    """L with L L' = matrix; a column is 0 if the remaining variance is rounding."""
    n = len(matrix)
    lower = [[0.0] * n for _ in range(n)]
    for j in range(n):
        left = matrix[j][j] - math.fsum(lower[j][k] ** 2 for k in range(j))
        if left <= 1e-14 * n * matrix[j][j]:
            continue
        lower[j][j] = math.sqrt(left)
        for i in range(j + 1, n):
            shared = math.fsum(lower[i][k] * lower[j][k] for k in range(j))
            lower[i][j] = (matrix[i][j] - shared) / lower[j][j]
    return lower


def returns_of_pairs(names: Sequence[str], lower: Matrix, settings: Settings) -> list[list[float]]:
    """r = L z of the first path of each pair, by path and instrument."""
    n, seed = settings.n_paths // 2, settings.seed
    draws = [normals(seed, name, n) for name in names]
    factors = [1.0] * n
    if settings.distribution == "student":
        factors = shared_factors(seed, settings.degrees_of_freedom, n)
    return [
        [
            factors[t] * sum(lower[i][j] * draws[j][t] for j in range(i + 1))
            for i in range(len(names))
        ]
        for t in range(n)
    ]


def outcomes(
    positions: Sequence[tuple[int, float]],
    panel: scenario.Panel,
    n_observations: int,
    names: Sequence[str],
    settings: Settings,
) -> list[float]:
    """P&L of each path: sum of V_i r_i, then the same of -r."""
    held = sorted(scenario.held(positions))
    times = scenario.observed(positions, panel, n_observations)
    series = [[panel[i][t] for t in times] for i, _ in held]
    lower = cholesky(covariance_matrix(series))
    result = []
    for returns in returns_of_pairs([names[i] for i, _ in held], lower, settings):
        pnl = sum(value * r for (_, value), r in zip(held, returns, strict=True))
        result += [pnl, -pnl]
    return result
