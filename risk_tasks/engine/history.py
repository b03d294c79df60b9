"""Measures of P&L over the past returns: volatility, value-at-risk, expected shortfall.

A measure returns a column (P,); its parts are (N,) for a block of one book. Both are scaled to the
horizon; units and signs are those of the registry.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special

from risk_tasks.engine.computation import (
    Computation,
    FloatArray,
    Functions,
    IntArray,
    by_window,
    column_of,
    confidence_of,
    normal_quantile,
    observed,
    overlapping,
    ranks_by_window,
    shortfall_rank,
    spread_window,
    tail_depth,
    tail_length,
    tail_window,
    var_rank,
)
from risk_tasks.engine.conditioning import are_conditioned, centred
from risk_tasks.kernels import history as kernels
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings, tail_probability, tail_rank


def volatility(run: Computation, name: MeasureName) -> MeasureColumn:
    return column_of(run, run.deviation * run.horizon_scale, spread_window(run))


def parametric_value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    return column_of(
        run, normal_quantile(run, name) * run.deviation * run.horizon_scale, spread_window(run)
    )


def value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    losses = losses_at_risk(run.tail, run.n_observations, lambda n: var_rank(run, name, n))
    gains = (losses < 0, Outcome.NEGATIVE_VAR)
    required = tail_window(run, confidence_of(name, run.settings))
    return column_of(run, losses * run.horizon_scale, required, gains)


def losses_at_risk(
    worst: FloatArray, n_observations: IntArray, rank_of: Callable[[int], tuple[int, float]]
) -> FloatArray:
    """Return the loss (P,) at a rank, interpolated towards the next better outcome."""
    rank, weight = ranks_by_window(n_observations, rank_of)
    losses = np.empty(len(worst))
    kernels.value_at_risk(worst, rank, weight, losses)
    return losses


def expected_shortfall(run: Computation, name: MeasureName) -> MeasureColumn:
    losses = shortfalls(run, name, run.tail, run.n_observations)
    required = tail_window(run, confidence_of(name, run.settings))
    gains = (losses < 0, Outcome.NEGATIVE_ES)
    return column_of(run, losses * run.horizon_scale, required, gains)


def shortfalls(
    run: Computation, name: MeasureName, worst: FloatArray, n_observations: IntArray
) -> FloatArray:
    """Return the one-day expected shortfall (P,), loss positive."""
    rank, n_tail = ranks_by_window(n_observations, lambda n: shortfall_rank(run, name, n))
    losses = np.empty(len(worst))
    kernels.expected_shortfall(worst, rank, n_tail, losses)
    return losses


def semi_deviation(run: Computation, name: MeasureName) -> MeasureColumn:
    spread = np.empty(len(run.block))
    kernels.semi_deviation(run.pnl, spread)
    return column_of(run, spread * run.horizon_scale, spread_window(run))


def semi_deviation_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts: each position's deviation, averaged over the outcomes below the mean."""
    pnl, legs = observed(run)
    below = np.minimum(pnl - pnl.mean(), 0.0)
    spread = float(np.sqrt((below * below).sum() / (len(pnl) - 1)))
    if spread == 0.0:
        return np.zeros(len(run.value))
    departures = centred(legs)
    if not are_conditioned(run, departures):
        return np.full(len(legs), np.nan)
    parts: FloatArray = (departures * below).sum(axis=1) / (len(pnl) - 1) / spread
    return parts * run.horizon_scale


def deviation_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Euler parts of the volatility of the one portfolio in `run`: V_i cov(r_i, p) / sd.

    NaN if rounding leaves no digits to rely on.
    """
    pnl, legs = observed(run)
    spread = float(run.deviation[0])
    if spread == 0.0:
        return np.zeros(len(run.value))
    departures = centred(legs)
    if not are_conditioned(run, departures):
        return np.full(len(legs), np.nan)
    covariance = (departures * (pnl - pnl.mean())).sum(axis=1) / (len(pnl) - 1)
    parts: FloatArray = covariance / spread * run.horizon_scale
    return parts


def parametric_parts(run: Computation, name: MeasureName) -> FloatArray:
    return normal_quantile(run, name) * deviation_parts(run, name)


def value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    pnl, legs = observed(run)
    return parts_at_risk(run, var_rank(run, name, len(pnl)), pnl, legs)


def parts_at_risk(
    run: Computation, rank_and_weight: tuple[int, float], pnl: FloatArray, legs: FloatArray
) -> FloatArray:
    """Each position's loss in the outcome of a rank, interpolated towards the next better one."""
    order = np.argsort(pnl, kind="stable")
    rank, weight = rank_and_weight
    losses = -legs[:, order[rank]]
    if weight:
        losses += weight * (-legs[:, order[rank + 1]] - losses)
    return losses * run.horizon_scale


def expected_shortfall_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Each position's mean loss over the tail; the last outcome has a fractional weight."""
    pnl, legs = observed(run)
    weight = tail_weights(len(pnl), confidence_of(name, run.settings))
    losses = -legs[:, np.argsort(pnl, kind="stable")[: len(weight)]]
    parts: FloatArray = (losses * weight).sum(axis=1) * run.horizon_scale
    return parts


def value_at_risk_outcomes(run: Computation, name: MeasureName) -> IntArray:
    rank, weight = var_rank(run, name, len(_seen(run)))
    return _worst(run)[rank : rank + (2 if weight > 0.0 else 1)]


def expected_shortfall_outcomes(run: Computation, name: MeasureName) -> IntArray:
    return _worst(run)[: tail_rank(len(_seen(run)), confidence_of(name, run.settings))]


def _seen(run: Computation) -> IntArray:
    return np.flatnonzero(~np.isnan(run.pnl[0]))


def _worst(run: Computation) -> IntArray:
    """Return the outcomes of the one portfolio in `run`, the worst first, ties by time."""
    seen = _seen(run)
    return seen[np.argsort(run.pnl[0][seen], kind="stable")]


#: the past outcomes that determine a measure, for measures that depend on single outcomes
OUTCOMES = {
    "value_at_risk": value_at_risk_outcomes,
    "expected_shortfall": expected_shortfall_outcomes,
}


def tail_weights(n_observations: int, confidence: str) -> FloatArray:
    """Return the weights of the worst outcomes in the shortfall; the last is fractional."""
    k = tail_rank(n_observations, confidence)
    n_tail = tail_length(n_observations, confidence)
    weight = np.ones(k)
    weight[-1] = n_tail - (k - 1)
    weight /= n_tail
    return weight


# --- the interval of a historical VaR: order statistics at binomial ranks

#: the probability that the interval covers the true quantile is at least this
_COVERAGE = 0.95

#: returns a rank among n outcomes, 1 being the worst; 0 and n + 1 are outside
RankOf = Callable[[int, str], int]


def upper_rank(n_observations: int, confidence: str) -> int:
    """Return l, the rank of the larger loss; 0 if the window is too short to bound it."""
    return _binomial_quantile(n_observations, confidence, (1 - _COVERAGE) / 2)


def lower_rank(n_observations: int, confidence: str) -> int:
    """Return u, the rank of the smaller loss; n + 1 if the window is too short to bound it."""
    return _binomial_quantile(n_observations, confidence, (1 + _COVERAGE) / 2) + 1


@lru_cache(maxsize=4096)
def _binomial_quantile(n: int, confidence: str, probability: float) -> int:
    """Return the smallest x with P(X <= x) >= `probability`, X binomial (n, alpha).

    X counts the outcomes below the true alpha-quantile, of n independent ones. The interval is
    that of the outcomes of rank l and u, rank 1 being the worst, where l and u - 1 are the smallest
    x with P(X <= x) >= 0.025 and >= 0.975. It misses the quantile on either side with a probability
    of 0.025 at most, for any distribution: P(l <= X < u) >= 0.95. Source: David, Nagaraja,
    Order Statistics, 3rd ed. (2003), ch. 7.1.
    """
    alpha = float(tail_probability(confidence))
    return bisect_left(range(n), probability, key=lambda x: float(special.bdtr(x, n, alpha)))


def _functions(rank_of: RankOf) -> Functions:
    """Return the functions of the bound at a rank."""

    def index(n: int, confidence: str) -> int:
        """Return the rank, counted from 0, limited to the outcomes."""
        return min(max(rank_of(n, confidence), 1), n) - 1

    def column(run: Computation, name: MeasureName) -> MeasureColumn:
        confidence = confidence_of(name, run.settings)
        n = run.n_observations
        losses = losses_at_risk(run.tail, n, lambda n: (index(n, confidence), 0.0))
        rank = by_window(n, np.int64, lambda n: rank_of(n, confidence))
        # The bounds of a portfolio without exposure are 0.
        beyond = ((rank < 1) | (rank > n)) & (run.gross > 0.0)
        return column_of(
            run,
            losses * run.horizon_scale,
            tail_window(run, confidence),
            overlapping(run),
            (beyond, Outcome.OPEN_ENDED),
            (losses < 0, Outcome.NEGATIVE_VAR),
        )

    def parts(run: Computation, name: MeasureName) -> FloatArray:
        pnl, legs = observed(run)
        rank = index(len(pnl), confidence_of(name, run.settings))
        return parts_at_risk(run, (rank, 0.0), pnl, legs)

    def depth(n_observations: int, name: MeasureName, settings: MeasureSettings) -> int:
        n = max(1, n_observations)
        return index(n, confidence_of(name, settings)) + 1

    return Functions(column, parts, depth)


FUNCTIONS = {
    "volatility": Functions(volatility, deviation_parts),
    "value_at_risk": Functions(value_at_risk, value_at_risk_parts, tail_depth),
    "expected_shortfall": Functions(expected_shortfall, expected_shortfall_parts, tail_depth),
    "parametric_value_at_risk": Functions(parametric_value_at_risk, parametric_parts),
    "semi_deviation": Functions(semi_deviation, semi_deviation_parts),
    "value_at_risk_lower": _functions(lower_rank),
    "value_at_risk_upper": _functions(upper_rank),
}
