"""The reference of each measure of the past, and its required observations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.reference import moments, rank, student, tail, weighted


class Settings(Protocol):
    """The settings that a reference reads."""

    var_convention: str
    degrees_of_freedom: float
    decay: float
    age_decay: float


def _no_reason(pnl: Sequence[float], value: float) -> str:
    return "ok"


def _as_they_are(pnl: Sequence[float], settings: Settings) -> Sequence[float]:
    return pnl


def _negative_var(pnl: Sequence[float], value: float) -> str:
    return "negative_var" if value < 0 else "ok"


def _negative_es(pnl: Sequence[float], value: float) -> str:
    return "negative_es" if value < 0 else "ok"


@dataclass(frozen=True)
class Reference:
    """`value` of outcomes, oldest first, under a confidence and settings; None if undefined.

    `n_required` is the least number of outcomes for a confidence and a number of days per outcome;
    a measure that is not `of_sums` needs outcomes without common days. `moved_by` bounds the change
    of the value if each of n outcomes changes by at most 1; None if there is no bound. `reason` is
    the reason that is reported with the value; `reads` converts the P&L to the outcomes that these
    functions receive.
    """

    value: Callable[[Sequence[float], str, Settings], float | None]
    n_required: Callable[[str, int], int]
    moved_by: Callable[[int, str, Settings], float] | None
    reason: Callable[[Sequence[float], Any], str] = _no_reason
    reads: Callable[[Sequence[float], Settings], Sequence[float]] = _as_they_are
    of_sums: bool = True


def _open_ended(pnl: Sequence[float], value: float | None) -> str:
    return "open_ended" if value is None else _negative_var(pnl, value)


def _apart(confidence: str, days: int) -> int:
    """Enough outcomes that two of them have no day in common."""
    return days + 1


def _tail(confidence: str, days: int) -> int:
    """h + 1 / alpha days, which have n - h + 1 sums of h days; 1 / alpha days if h = 1."""
    return rank.minimal_observations(confidence) + (1 if days > 1 else 0)


def _of_a_spread(n: int, confidence: str, settings: Settings) -> float:
    return math.sqrt(n / (n - 1))


def _of_an_outcome(n: int, confidence: str, settings: Settings) -> float:
    return 1.0


def _of_student(factor: Callable[[float, str], float]) -> Reference:
    """A multiple of the standard deviation."""
    return Reference(
        lambda pnl, confidence, settings: (
            factor(settings.degrees_of_freedom, confidence) * tail.standard_deviation(pnl)
        ),
        _apart,
        lambda n, confidence, settings: (
            abs(factor(settings.degrees_of_freedom, confidence))
            * _of_a_spread(n, confidence, settings)
        ),
    )


OF_HISTORY = {
    "volatility": Reference(
        lambda pnl, confidence, settings: tail.standard_deviation(pnl), _apart, _of_a_spread
    ),
    "value_at_risk": Reference(
        lambda pnl, confidence, settings: tail.value_at_risk(
            pnl, confidence, settings.var_convention
        ),
        _tail,
        _of_an_outcome,
        _negative_var,
    ),
    "value_at_risk_lower": Reference(
        lambda pnl, confidence, settings: tail.interval_bound(pnl, confidence, 1),
        _tail,
        _of_an_outcome,
        _open_ended,
        of_sums=False,
    ),
    "value_at_risk_upper": Reference(
        lambda pnl, confidence, settings: tail.interval_bound(pnl, confidence, 0),
        _tail,
        _of_an_outcome,
        _open_ended,
        of_sums=False,
    ),
    "expected_shortfall": Reference(
        lambda pnl, confidence, settings: tail.expected_shortfall(pnl, confidence),
        _tail,
        _of_an_outcome,
        _negative_es,
    ),
    "parametric_value_at_risk": Reference(
        lambda pnl, confidence, settings: tail.parametric_value_at_risk(pnl, confidence),
        _apart,
        lambda n, confidence, settings: (
            _of_a_spread(n, confidence, settings) * abs(tail.normal_quantile(confidence))
        ),
    ),
    "semi_deviation": Reference(
        lambda pnl, confidence, settings: tail.semi_deviation(pnl),
        _apart,
        # Each deviation depends on its outcome and on the mean.
        lambda n, confidence, settings: 2 * _of_a_spread(n, confidence, settings),
    ),
    "ewma_volatility": Reference(
        lambda pnl, confidence, settings: weighted.ewma_volatility(pnl, settings.decay),
        _apart,
        # A root mean square is a norm.
        _of_an_outcome,
        of_sums=False,
    ),
    "age_weighted_value_at_risk": Reference(
        lambda pnl, confidence, settings: weighted.age_weighted_value_at_risk(
            pnl, confidence, settings.age_decay
        ),
        _tail,
        _of_an_outcome,
        _negative_var,
    ),
    "filtered_value_at_risk": Reference(
        lambda pnl, confidence, settings: tail.value_at_risk(
            pnl, confidence, settings.var_convention
        ),
        _tail,
        None,
        _negative_var,
        lambda pnl, settings: weighted.filtered_outcomes(pnl, settings.decay),
        of_sums=False,
    ),
    "cornish_fisher_value_at_risk": Reference(
        lambda pnl, confidence, settings: moments.cornish_fisher_value_at_risk(pnl, confidence),
        _apart,
        None,
        lambda pnl, value: (
            _negative_var(pnl, value) if moments.domain_margin(pnl) >= 0 else "outside_domain"
        ),
    ),
    "student_value_at_risk": _of_student(student.value_at_risk),
    "student_expected_shortfall": _of_student(student.expected_shortfall),
}
