"""Backtests: exceptions to the value-at-risk, likelihood-ratio tests and traffic-light zones.

Counts and confidence are exact until the logarithm, so a record with exactly the expected number of
exceptions has a statistic of exactly 0. 0 log 0 is 0.

Sources: Kupiec, Techniques for Verifying the Accuracy of Risk Measurement Models, Journal of
Derivatives 3 (1995); Christoffersen, Evaluating Interval Forecasts, International Economic Review
39 (1998); Basel Committee on Banking Supervision, Supervisory framework for the use of
"backtesting" in conjunction with the internal models approach (January 1996), Table 2; Minimum
capital requirements for market risk, MAR32.9 and MAR32.18.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import erfc, exp, log, sqrt
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import RequestError
from risk_tasks.model.measures import parse_confidence, tail_probability
from risk_tasks.model.report import ReportError


class Transitions(NamedTuple):
    """Counts of pairs of consecutive days: n01 exceptions follow a day without exception."""

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

    2 sum of n_ij log(n_ij n / (n_i. n_.j)). The test compares exceptions that depend on the day
    before with independent exceptions. Finite for every count; 0 if all days are equal.
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

    Both likelihoods are conditional on the first day: LR_cc is LR_ind plus the LR_pof of the
    other T - 1 >= 1 days.
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
    """Return twice the sum, at least 0: the exact ratio is never negative, rounding can be."""
    return max(0.0, 2 * sum(terms))


def _term(count: int, numerator: int, denominator: int) -> float:
    return count * log(numerator / denominator) if count else 0.0


class Zone(StrEnum):
    """The traffic-light zone of a record of exceptions."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


_YELLOW_FROM = Fraction(95, 100)
_RED_FROM = Fraction(9999, 10_000)

#: the supervisory tables apply to 250 days at 0.99
_TABLE_DAYS, _TABLE_CONFIDENCE = 250, "0.99"
#: by the number of exceptions; the last entry also applies to more
_PLUS_FACTOR = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.00)
_FRTB_MULTIPLIER = (1.50, 1.50, 1.50, 1.50, 1.50, 1.70, 1.76, 1.83, 1.88, 1.92, 2.00)
#: exceptions of a trading desk in twelve months, by confidence
_FRTB_DESK_THRESHOLD = {"0.99": 12, "0.975": 30}


def cumulative_probability(n_observations: int, n_exceptions: int, confidence: str) -> float:
    """Return P(X <= `n_exceptions`) of the binomial, 0 to 1, rounded once."""
    part, whole = _cumulative(n_observations, n_exceptions, confidence)
    return part / whole


def zone_of(n_observations: int, n_exceptions: int, confidence: str) -> Zone:
    """Return the zone of a number of exceptions, for any number of days and any confidence.

    Yellow from the smallest N with P(X <= N) >= 0.95, red from 0.9999, compared as fractions. A
    record without exceptions is green for any number of days.
    """
    part, whole = _cumulative(n_observations, n_exceptions, confidence)
    if not n_exceptions or not _reaches(part, whole, _YELLOW_FROM):
        return Zone.GREEN
    return Zone.RED if _reaches(part, whole, _RED_FROM) else Zone.YELLOW


def plus_factor(n_observations: int, n_exceptions: int, confidence: str) -> float | None:
    """Return the addition of Basel 1996 to the multiplier of 3; None except 250 days at 0.99."""
    return _looked_up(_PLUS_FACTOR, n_observations, n_exceptions, confidence)


def frtb_multiplier(n_observations: int, n_exceptions: int, confidence: str) -> float | None:
    """Return the multiplier of MAR32.9, 1.5 to 2; None except 250 days at 0.99."""
    return _looked_up(_FRTB_MULTIPLIER, n_observations, n_exceptions, confidence)


def frtb_desk_threshold(n_observations: int, confidence: str) -> int | None:
    """Return the most exceptions of MAR32.18 for a desk; None outside its table."""
    return _FRTB_DESK_THRESHOLD.get(confidence) if n_observations == _TABLE_DAYS else None


def _looked_up(
    table: tuple[float, ...], n_observations: int, n_exceptions: int, confidence: str
) -> float | None:
    if (n_observations, confidence) != (_TABLE_DAYS, _TABLE_CONFIDENCE):
        return None
    return table[min(n_exceptions, len(table) - 1)]


def _reaches(part: int, whole: int, level: Fraction) -> bool:
    return part * level.denominator >= whole * level.numerator


def _cumulative(n_observations: int, n_exceptions: int, confidence: str) -> tuple[int, int]:
    """P(X <= N) as an unreduced fraction: reducing thousands of digits is slow."""
    alpha = tail_probability(confidence)
    failure, success = alpha.numerator, alpha.denominator - alpha.numerator
    term = total = success**n_observations
    for k in range(n_exceptions):
        term = term * (n_observations - k) * failure // ((k + 1) * success)
        total += term
    return total, alpha.denominator**n_observations


#: tests of consecutive days need two days
_ONE_DAY = "one_day"
#: the supervisory tables apply to one number of days
_NOT_IN_TABLE = "not_in_table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The tests of a record of days for a VaR at one confidence.

    `..._lr` are likelihood ratios, never negative. `..._p` are their p-values, 0 to 1; small values
    contradict the VaR. `reasons` has the reason for each statistic that is None, by name.
    """

    confidence: str
    n_observations: int
    n_exceptions: int
    #: (1 - confidence) x days
    expected: float
    #: the probability of at most this number of exceptions if the VaR is correct
    cumulative_probability: float
    zone: Zone
    kupiec_lr: float
    kupiec_p: float
    independence_lr: float | None
    independence_p: float | None
    coverage_lr: float | None
    coverage_p: float | None
    #: Basel 1996, MAR32.9 and MAR32.18
    plus_factor: float | None
    frtb_multiplier: float | None
    frtb_desk_threshold: int | None
    #: days relative to the last day, oldest first: 0 is the last day
    exceptions: Sequence[int]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestReport:
    """The backtests of one portfolio, one per confidence; empty if there is an error."""

    portfolio_id: str
    backtests: Sequence[Backtest] = ()
    error: ReportError | None = None


def backtest(
    pnl: npt.ArrayLike, value_at_risk: npt.ArrayLike, confidence: str | float | Decimal
) -> Backtest:
    """Compare the VaR forecast for each day with the P&L of that day.

    `pnl` (T,), profit positive, and `value_at_risk` (T,), loss positive, in one currency, oldest
    first. A day with P&L < -VaR is an exception; a loss equal to the VaR is not.
    `confidence` is decimal text, a Decimal, or a float, which is converted to text first.

    Raises `RequestError` with the field if an array is empty, has another shape, or has a value
    that is not finite, or if the lengths differ; `InvalidSettingsError` for the confidence.
    """
    confidence = parse_confidence(confidence)
    outcomes = _numbers(pnl, "pnl")
    bounds = _numbers(value_at_risk, "value_at_risk")
    if len(outcomes) != len(bounds):
        raise RequestError(
            f"value_at_risk has {len(bounds)} days: expected {len(outcomes)}, as pnl.",
            field="value_at_risk",
            remedy="Give one VaR forecast for each day of pnl.",
        )
    if not len(outcomes):
        raise RequestError("pnl is empty.", field="pnl", remedy="Give one day or more.")
    return backtest_of(outcomes < -bounds, confidence)


def backtest_of(is_exception: npt.NDArray[np.bool_], confidence: str) -> Backtest:
    """Test a record `is_exception` (T,), T > 0, oldest first; `confidence` is canonical text."""
    t, n = len(is_exception), int(is_exception.sum())
    transitions = Transitions.of(is_exception)
    kupiec_lr = proportion_of_failures(t, n, confidence)
    independence_lr = independence(transitions) if t > 1 else None
    coverage_lr = conditional_coverage(transitions, confidence) if t > 1 else None
    factor, multiplier = plus_factor(t, n, confidence), frtb_multiplier(t, n, confidence)
    threshold = frtb_desk_threshold(t, confidence)
    may_be_missing = (
        ("independence", independence_lr, _ONE_DAY),
        ("coverage", coverage_lr, _ONE_DAY),
        ("plus_factor", factor, _NOT_IN_TABLE),
        ("frtb_multiplier", multiplier, _NOT_IN_TABLE),
        ("frtb_desk_threshold", threshold, _NOT_IN_TABLE),
    )
    return Backtest(
        confidence=confidence,
        n_observations=t,
        n_exceptions=n,
        expected=float(t * tail_probability(confidence)),
        cumulative_probability=cumulative_probability(t, n, confidence),
        zone=zone_of(t, n, confidence),
        kupiec_lr=kupiec_lr,
        kupiec_p=chi_square_survival(kupiec_lr, 1),
        independence_lr=independence_lr,
        independence_p=_p_value(independence_lr, 1),
        coverage_lr=coverage_lr,
        coverage_p=_p_value(coverage_lr, 2),
        plus_factor=factor,
        frtb_multiplier=multiplier,
        frtb_desk_threshold=threshold,
        exceptions=tuple((np.flatnonzero(is_exception) - (t - 1)).tolist()),
        reasons=MappingProxyType(
            {name: reason for name, value, reason in may_be_missing if value is None}
        ),
    )


def _p_value(statistic: float | None, degrees_of_freedom: int) -> float | None:
    return None if statistic is None else chi_square_survival(statistic, degrees_of_freedom)


def _numbers(values: npt.ArrayLike, field: str) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise RequestError(
            f"{field} is not a one-dimensional array of numbers.",
            field=field,
            remedy="Give one number for each day.",
        )
    numbers = array.astype(np.float64)
    invalid = np.flatnonzero(~np.isfinite(numbers))
    if invalid.size:
        raise RequestError(
            f"{numbers[invalid[0]]} is not a finite number.",
            field=f"{field}[{invalid[0]}]",
            remedy="Leave the day out of both arrays.",
        )
    return numbers
