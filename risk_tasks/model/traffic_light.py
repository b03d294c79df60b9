"""The zones of a backtest, and what a supervisor makes of them.

Sources: Basel Committee on Banking Supervision, Supervisory framework for the use of "backtesting"
in conjunction with the internal models approach (January 1996), Table 2; Minimum capital
requirements for market risk, MAR32.9 and MAR32.18.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from risk_tasks.model.confidence import tail_probability


class Zone(StrEnum):
    """How far a record of exceptions speaks against the VaR."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


_YELLOW_FROM = Fraction(95, 100)
_RED_FROM = Fraction(9999, 10_000)

#: the supervisors' tables are those of a year at 0.99
_TABLE_DAYS, _TABLE_CONFIDENCE = 250, "0.99"
#: by the number of exceptions; the last stands for more
_PLUS_FACTOR = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.00)
_FRTB_MULTIPLIER = (1.50, 1.50, 1.50, 1.50, 1.50, 1.70, 1.76, 1.83, 1.88, 1.92, 2.00)
#: exceptions of a trading desk in twelve months, by confidence
_FRTB_DESK_THRESHOLD = {"0.99": 12, "0.975": 30}


def cumulative_probability(n_observations: int, n_exceptions: int, confidence: str) -> float:
    """Return P(X <= `n_exceptions`) of the binomial, 0 to 1: exact until it is rounded once."""
    part, whole = _cumulative(n_observations, n_exceptions, confidence)
    return part / whole


def zone_of(n_observations: int, n_exceptions: int, confidence: str) -> Zone:
    """Return the zone of so many exceptions, for any number of days and any confidence.

    Yellow from the smallest N with P(X <= N) >= 0.95, red from 0.9999, compared as fractions. A
    record without an exception is green however short it is.
    """
    part, whole = _cumulative(n_observations, n_exceptions, confidence)
    if not n_exceptions or not _reaches(part, whole, _YELLOW_FROM):
        return Zone.GREEN
    return Zone.RED if _reaches(part, whole, _RED_FROM) else Zone.YELLOW


def plus_factor(n_observations: int, n_exceptions: int, confidence: str) -> float | None:
    """Return what Basel 1996 adds to the multiplier of 3; None but for 250 days at 0.99."""
    return _looked_up(_PLUS_FACTOR, n_observations, n_exceptions, confidence)


def frtb_multiplier(n_observations: int, n_exceptions: int, confidence: str) -> float | None:
    """Return the multiplier of MAR32.9, 1.5 to 2; None but for 250 days at 0.99."""
    return _looked_up(_FRTB_MULTIPLIER, n_observations, n_exceptions, confidence)


def frtb_desk_threshold(n_observations: int, confidence: str) -> int | None:
    """Return the most exceptions that leave a desk on its model, MAR32.18; None off its table."""
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
    """P(X <= N) as a fraction that is not reduced: its terms have thousands of digits."""
    alpha = tail_probability(confidence)
    failure, success = alpha.numerator, alpha.denominator - alpha.numerator
    term = total = success**n_observations
    for k in range(n_exceptions):
        term = term * (n_observations - k) * failure // ((k + 1) * success)
        total += term
    return total, alpha.denominator**n_observations
