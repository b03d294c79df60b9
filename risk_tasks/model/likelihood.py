"""Likelihood-ratio tests of a record of exceptions, and what their statistics mean.

Counts and confidence are whole numbers and fractions until the logarithm, so that a record with
exactly the expected number of exceptions has a statistic of exactly 0. 0 log 0 is 0.

Sources: Kupiec, Techniques for Verifying the Accuracy of Risk Measurement Models, Journal of
Derivatives 3 (1995); Christoffersen, Evaluating Interval Forecasts, International Economic Review
39 (1998).
"""

from __future__ import annotations

from math import erfc, exp, log, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from risk_tasks.model.confidence import tail_probability


class Transitions(NamedTuple):
    """How often a day of one kind followed one of another: n01 exceptions after a day without."""

    n00: int
    n01: int
    n10: int
    n11: int

    @classmethod
    def of(cls, is_exception: npt.NDArray[np.bool_]) -> Transitions:
        """Count the T - 1 transitions of `is_exception` (T,), oldest first."""
        kinds = 2 * is_exception[:-1].astype(np.int64) + is_exception[1:]
        return cls(*np.bincount(kinds, minlength=4).tolist())


def proportion_of_failures(n_observations: int, n_exceptions: int, confidence: str) -> float:
    """Return Kupiec's LR_pof of N exceptions in T > 0 days, never negative; 1 degree of freedom.

    2 [N log((N / T) / alpha) + (T - N) log((1 - N / T) / (1 - alpha))], finite for 0 <= N <= T.
    """
    alpha = tail_probability(confidence)
    calm = n_observations - n_exceptions
    return _ratio(
        _term(n_exceptions, n_exceptions * alpha.denominator, n_observations * alpha.numerator),
        _term(
            calm,
            calm * alpha.denominator,
            n_observations * (alpha.denominator - alpha.numerator),
        ),
    )


def independence(transitions: Transitions) -> float:
    """Return Christoffersen's LR_ind, never negative; 1 degree of freedom.

    2 sum of n_ij log(n_ij n / (n_i. n_.j)): exceptions whose probability depends on the day before
    against exceptions that are independent. Finite for every count; 0 where the days are all of
    one kind, from which no dependence can be told.
    """
    n00, n01, n10, n11 = transitions
    n = n00 + n01 + n10 + n11
    calm, after = n00 + n01, n10 + n11
    return _ratio(
        _term(n00, n00 * n, calm * (n00 + n10)),
        _term(n01, n01 * n, calm * (n01 + n11)),
        _term(n10, n10 * n, after * (n00 + n10)),
        _term(n11, n11 * n, after * (n01 + n11)),
    )


def conditional_coverage(transitions: Transitions, confidence: str) -> float:
    """Return Christoffersen's LR_cc, never negative; 2 degrees of freedom.

    Both likelihoods are conditional on the first day, so that LR_cc is LR_ind plus the LR_pof of
    the T - 1 >= 1 days that follow another.
    """
    n, n_exceptions = sum(transitions), transitions.n01 + transitions.n11
    return proportion_of_failures(n, n_exceptions, confidence) + independence(transitions)


def chi_square_survival(statistic: float, degrees_of_freedom: int) -> float:
    """Return P(chi-square >= `statistic`), 0 to 1, in closed form for 1 or 2 degrees of freedom."""
    if degrees_of_freedom == 1:
        return erfc(sqrt(statistic / 2))
    if degrees_of_freedom == 2:
        return exp(-statistic / 2)
    raise ValueError(degrees_of_freedom)


def _ratio(*terms: float) -> float:
    """The likelihood that is maximised is never the smaller one: less than 0 is rounding."""
    return max(0.0, 2 * sum(terms))


def _term(count: int, numerator: int, denominator: int) -> float:
    return count * log(numerator / denominator) if count else 0.0
