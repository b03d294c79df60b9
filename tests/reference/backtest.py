"""Backtests of a VaR, from the formulas of Kupiec, Christoffersen and the Basel Committee.

`hits` is a list of booleans, oldest first: whether the loss of a day is larger than its VaR.
`alpha` is the probability of a hit if the VaR is correct.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from tests.reference import tail


def hits(pnl: Sequence[float], value_at_risk: Sequence[float]) -> list[bool]:
    """Whether each loss -p_t is greater than the VaR of its day."""
    return [-p > bound for p, bound in zip(pnl, value_at_risk, strict=True)]


def xlogy(x: float, y: float) -> float:
    """X log y, with 0 log 0 = 0."""
    return 0.0 if x == 0 else x * math.log(y)


def log_likelihood(n_calm: int, n_hits: int, probability: float) -> float:
    """The logarithm of (1 - p)^calm p^hits."""
    return xlogy(n_calm, 1 - probability) + xlogy(n_hits, probability)


def share(part: int, whole: int) -> float:
    """Part / whole; 0 if the whole is 0."""
    return part / whole if whole else 0.0


def kupiec(record: Sequence[bool], alpha: Fraction) -> float:
    """LR_pof = -2 log [(1 - alpha)^(T - N) alpha^N / ((1 - N/T)^(T - N) (N/T)^N)]."""
    t, n = len(record), sum(record)
    return -2 * (log_likelihood(t - n, n, float(alpha)) - log_likelihood(t - n, n, share(n, t)))


def transitions(record: Sequence[bool]) -> dict[tuple[bool, bool], int]:
    """The number of days of one kind that follow a day of another."""
    counts = {(before, after): 0 for before in (False, True) for after in (False, True)}
    for t in range(1, len(record)):
        counts[record[t - 1], record[t]] += 1
    return counts


def markov(counts: dict[tuple[bool, bool], int]) -> float:
    """The maximum log-likelihood if the probability of a hit depends on the previous day."""
    total = 0.0
    for before in (False, True):
        calm, n = counts[before, False], counts[before, True]
        total += log_likelihood(calm, n, share(n, calm + n))
    return total


def independence(counts: dict[tuple[bool, bool], int]) -> float:
    """LR_ind = -2 log [(1 - pi)^(n00 + n10) pi^(n01 + n11) / the likelihood of `markov`]."""
    calm = counts[False, False] + counts[True, False]
    n = counts[False, True] + counts[True, True]
    return -2 * (log_likelihood(calm, n, share(n, calm + n)) - markov(counts))


def coverage(counts: dict[tuple[bool, bool], int], alpha: Fraction) -> float:
    """LR_cc = -2 log [(1 - alpha)^(n00 + n10) alpha^(n01 + n11) / the likelihood of `markov`]."""
    calm = counts[False, False] + counts[True, False]
    n = counts[False, True] + counts[True, True]
    return -2 * (log_likelihood(calm, n, float(alpha)) - markov(counts))


def cumulative_probability(t: int, n: int, alpha: Fraction) -> Fraction:
    """P(X <= n) = sum over k <= n of C(t, k) alpha^k (1 - alpha)^(t - k)."""
    terms = (math.comb(t, k) * alpha**k * (1 - alpha) ** (t - k) for k in range(n + 1))
    return sum(terms, Fraction(0))


def zone(t: int, n: int, alpha: Fraction) -> str:
    """Red from P(X <= n) of 99.99 % on, yellow from 95 % on, else green; 0 is green."""
    probability = cumulative_probability(t, n, alpha)
    if n == 0 or probability < Fraction(95, 100):
        return "green"
    return "red" if probability >= Fraction(9999, 10_000) else "yellow"


def rolling_value_at_risk(
    pnl: Sequence[float], window: int, confidence: str, convention: str
) -> list[float]:
    """For each day after the first `window`, the VaR of the `window` outcomes before it."""
    return [
        tail.value_at_risk(pnl[t - window : t], confidence, convention)
        for t in range(window, len(pnl))
    ]
