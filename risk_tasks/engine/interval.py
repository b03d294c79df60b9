"""How far the true quantile may lie from a historical VaR: order statistics at binomial ranks.

Of n independent outcomes X are below the true alpha-quantile, X binomial (n, alpha). The interval
is that of the outcomes of rank l and u, rank 1 being the worst, where l and u - 1 are the smallest
x with P(X <= x) >= 0.025 and >= 0.975. It misses the quantile on either side with a probability of
0.025 at most, whatever the distribution: P(l <= X < u) >= 0.95. Source: David, Nagaraja, Order
Statistics, 3rd ed. (2003), ch. 7.1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special

from risk_tasks.engine.computation import Computation, FloatArray, Functions
from risk_tasks.engine.history import losses_at_risk, parts_at_risk
from risk_tasks.engine.windows import (
    by_window,
    column_of,
    confidence_of,
    observed,
    sharing_days,
    tail_window,
)
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.confidence import tail_probability
from risk_tasks.model.measures import MeasureName, MeasureSettings

_COVERAGE = 0.95

#: the rank among n outcomes, 1 the worst, at a confidence; 0 and n + 1 are beyond them
RankOf = Callable[[int, str], int]


def upper_rank(n_observations: int, confidence: str) -> int:
    """Return l, the rank of the larger loss; 0 where the window cannot bound it."""
    return _binomial_quantile(n_observations, confidence, (1 - _COVERAGE) / 2)


def lower_rank(n_observations: int, confidence: str) -> int:
    """Return u, the rank of the smaller loss; n + 1 where the window cannot bound it."""
    return _binomial_quantile(n_observations, confidence, (1 + _COVERAGE) / 2) + 1


@lru_cache(maxsize=4096)
def _binomial_quantile(n: int, confidence: str, probability: float) -> int:
    """Return the smallest x with P(X <= x) >= `probability`, X binomial (n, alpha)."""
    alpha = float(tail_probability(confidence))
    return bisect_left(range(n), probability, key=lambda x: float(special.bdtr(x, n, alpha)))


def _functions(rank_of: RankOf) -> Functions:
    """Return the functions of the bound that stands at a rank."""

    def place(n: int, confidence: str) -> int:
        """From 0, and the last there is where the bound is beyond it."""
        return min(max(rank_of(n, confidence), 1), n) - 1

    def column(run: Computation, name: MeasureName) -> MeasureColumn:
        confidence = confidence_of(name, run.settings)
        n = run.n_observations
        losses = losses_at_risk(run.tail, n, lambda n: (place(n, confidence), 0.0))
        rank = by_window(n, np.int64, lambda n: rank_of(n, confidence))
        # A book without exposure has no end that could be open.
        beyond = ((rank < 1) | (rank > n)) & (run.gross > 0.0)
        return column_of(
            run,
            losses * run.horizon_scale,
            tail_window(run, confidence),
            sharing_days(run),
            (beyond, Outcome.OPEN_ENDED),
            (losses < 0, Outcome.NEGATIVE_VAR),
        )

    def parts(run: Computation, name: MeasureName) -> FloatArray:
        pnl, legs = observed(run)
        rank = place(len(pnl), confidence_of(name, run.settings))
        return parts_at_risk(run, (rank, 0.0), pnl, legs)

    def depth(n_observations: int, name: MeasureName, settings: MeasureSettings) -> int:
        n = max(1, n_observations)
        return place(n, confidence_of(name, settings)) + 1

    return Functions(column, parts, depth)


FUNCTIONS = {
    "value_at_risk_lower": _functions(lower_rank),
    "value_at_risk_upper": _functions(upper_rank),
}
