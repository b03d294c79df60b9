"""Quantile, tail average and deviation of the losses of a portfolio, and contributions to them.

`pnl` is a list of P&L without missing outcomes. Functions of positions and a panel ignore the
observations in which a held instrument has no return.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist

from tests.reference import rank, scenario

Position = tuple[int, float]


def losses_worst_first(pnl: Sequence[float]) -> list[float]:
    """The losses -p_t, largest first."""
    return sorted((-p for p in pnl), reverse=True)


def value_at_risk(
    pnl: Sequence[float], confidence: rank.Confidence, convention: str = "conservative"
) -> float:
    """Historical VaR: (1 - w) loss[lower] + w loss[upper] with the ranks of the convention."""
    losses = losses_worst_first(pnl)
    lower, upper, weight = rank.interpolation(len(losses), confidence, convention)
    below, above = Fraction(losses[lower - 1]), Fraction(losses[upper - 1])
    return float((1 - weight) * below + weight * above)


def interval_bound(pnl: Sequence[float], confidence: rank.Confidence, end: int) -> float | None:
    """The loss at an end of the interval, 0 the larger, 1 the smaller; None if the end is open."""
    number = rank.interval(len(pnl), confidence)[end]
    return losses_worst_first(pnl)[number - 1] if 1 <= number <= len(pnl) else None


def expected_shortfall(pnl: Sequence[float], confidence: rank.Confidence) -> float:
    """(1 / n alpha) [sum over i < k of loss_i + (n alpha - k + 1) loss_k], k = ceil(n alpha)."""
    losses = [Fraction(loss) for loss in losses_worst_first(pnl)]
    n = len(losses)
    tail = n * rank.tail_probability(confidence)
    if tail <= 1:
        return float(losses[0])
    k = rank.tail_rank(n, confidence)
    total = sum(losses[: k - 1], Fraction(0)) + (tail - (k - 1)) * losses[k - 1]
    return float(total / tail)


def standard_deviation(pnl: Sequence[float]) -> float:
    """Two passes: sqrt(sum (p_t - mean)^2 / (n - 1)); 0 where n < 2."""
    n = len(pnl)
    if n < 2:
        return 0.0
    mean = math.fsum(pnl) / n
    return math.sqrt(math.fsum((p - mean) ** 2 for p in pnl) / (n - 1))


def semi_deviation(pnl: Sequence[float]) -> float:
    """Two passes: sqrt(sum of (mean - p_t)^2 over p_t below the mean / (n - 1)); 0 where n < 2."""
    n = len(pnl)
    if n < 2:
        return 0.0
    mean = math.fsum(pnl) / n
    return math.sqrt(math.fsum((mean - p) ** 2 for p in pnl if p < mean) / (n - 1))


def covariance(left: Sequence[float], right: Sequence[float]) -> float:
    """Two passes: sum (x_t - mean x)(y_t - mean y) / (n - 1); 0 where n < 2."""
    n = len(left)
    if n < 2:
        return 0.0
    left_mean, right_mean = math.fsum(left) / n, math.fsum(right) / n
    terms = ((x - left_mean) * (y - right_mean) for x, y in zip(left, right, strict=True))
    return math.fsum(terms) / (n - 1)


def normal_quantile(confidence: rank.Confidence) -> float:
    """The standard normal quantile z at c."""
    return NormalDist().inv_cdf(float(Fraction(str(confidence))))


def parametric_value_at_risk(pnl: Sequence[float], confidence: rank.Confidence) -> float:
    """Delta-normal VaR with mean 0: z_c sd."""
    return normal_quantile(confidence) * standard_deviation(pnl)


def volatility_contributions(
    positions: Sequence[Position], panel: scenario.Panel, n_observations: int
) -> list[float]:
    """Euler shares of the standard deviation: V_i cov(r_i, p) / sd; zeros where sd is 0."""
    times = scenario.observed(positions, panel, n_observations)
    pnl = scenario.profit_and_loss(positions, panel, n_observations)
    seen = [pnl[t] for t in times]
    sd = standard_deviation(seen)
    result = []
    for instrument, value in positions:
        if value == 0 or sd == 0:
            result.append(0.0)
        else:
            result.append(value * covariance([panel[instrument][t] for t in times], seen) / sd)
    return result


def worst_first(
    positions: Sequence[Position], panel: scenario.Panel, n_observations: int
) -> list[int]:
    """The observations in descending order of their losses; ties in order of time."""
    pnl = scenario.profit_and_loss(positions, panel, n_observations)
    times = [t for t in range(n_observations) if pnl[t] is not None]
    return sorted(times, key=lambda t: (pnl[t], t))


def value_at_risk_contributions(
    positions: Sequence[Position],
    panel: scenario.Panel,
    n_observations: int,
    confidence: rank.Confidence,
) -> list[float]:
    """-V_i r_{t*,i} at the VaR scenario t*, the k-th worst, k as under `conservative`."""
    times = worst_first(positions, panel, n_observations)
    scene = times[rank.tail_rank(len(times), confidence) - 1]
    return [0.0 if value == 0 else -value * panel[i][scene] for i, value in positions]


def tail_weights(n: int, confidence: rank.Confidence) -> list[Fraction]:
    """Weights of the k worst losses in ES: 1 / n alpha each; the k-th is 1 minus the others."""
    tail = n * rank.tail_probability(confidence)
    if tail <= 1:
        return [Fraction(1)]
    k = rank.tail_rank(n, confidence)
    return [1 / tail] * (k - 1) + [(tail - (k - 1)) / tail]


def expected_shortfall_contributions(
    positions: Sequence[Position],
    panel: scenario.Panel,
    n_observations: int,
    confidence: rank.Confidence,
) -> list[float]:
    """Tail-weighted average of -V_i r_ti: sum over the k worst t of w_t (-V_i r_ti)."""
    times = worst_first(positions, panel, n_observations)
    weights = tail_weights(len(times), confidence)
    result = []
    for instrument, value in positions:
        terms = [
            weight * Fraction(-value * panel[instrument][t])
            for weight, t in zip(weights, times, strict=False)
            if value != 0
        ]
        result.append(float(sum(terms, Fraction(0))))
    return result
