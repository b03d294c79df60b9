"""A backtest: how often losses went beyond the value-at-risk, and what that says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import RequestError
from risk_tasks.model.confidence import parse_confidence, tail_probability
from risk_tasks.model.likelihood import (
    Transitions,
    chi_square_survival,
    conditional_coverage,
    independence,
    proportion_of_failures,
)
from risk_tasks.model.report import ReportError
from risk_tasks.model.traffic_light import (
    Zone,
    cumulative_probability,
    frtb_desk_threshold,
    frtb_multiplier,
    plus_factor,
    zone_of,
)

#: a test of what follows what needs two days
_ONE_DAY = "one_day"
#: the supervisors' tables hold for one length of record
_NOT_IN_TABLE = "not_in_table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What a record of days says about a VaR at one confidence.

    `lr` are likelihood ratios, never negative; `p` their p-values, 0 to 1: small ones speak
    against the VaR. A statistic that is None has its reason in `reasons`, by its name.
    """

    confidence: str
    n_observations: int
    n_exceptions: int
    #: (1 - confidence) x days
    expected: float
    #: of so many exceptions or fewer, were the VaR right
    cumulative_probability: float
    zone: Zone
    kupiec_lr: float
    kupiec_p: float
    independence_lr: float | None
    independence_p: float | None
    coverage_lr: float | None
    coverage_p: float | None
    #: what Basel 1996 adds to its multiplier, the multiplier of MAR32.9, the threshold of MAR32.18
    plus_factor: float | None
    frtb_multiplier: float | None
    frtb_desk_threshold: int | None
    #: days, oldest first, counted back from the last: 0 is the last itself, -12 the twelfth before
    exceptions: Sequence[int]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestReport:
    """The backtests of one portfolio, one a confidence; none where there is an error."""

    portfolio_id: str
    backtests: Sequence[Backtest] = ()
    error: ReportError | None = None


def backtest(
    pnl: npt.ArrayLike, value_at_risk: npt.ArrayLike, confidence: str | float | Decimal
) -> Backtest:
    """Test the VaR that was told for each day against what that day brought.

    `pnl` (T,), profit positive, and `value_at_risk` (T,), loss positive, in one currency, oldest
    first. A day on which P&L < -VaR is an exception; a loss that equals the VaR is none.
    `confidence` is decimal text, a Decimal, or a float that is read through its text.

    Raises `RequestError` naming the field for what is no row of finite numbers, for rows of
    unequal length and for none at all, and `InvalidSettingsError` for the confidence.
    """
    confidence = parse_confidence(confidence)
    outcomes = _numbers(pnl, "pnl")
    bounds = _numbers(value_at_risk, "value_at_risk")
    if len(outcomes) != len(bounds):
        raise RequestError(
            f"{len(bounds)} days of VaR, but {len(outcomes)} of P&L.",
            field="value_at_risk",
            remedy="Give for each day the VaR that was told before it.",
        )
    if not len(outcomes):
        raise RequestError(
            "There is no day to test.", field="pnl", remedy="Give one day at the least."
        )
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


def _numbers(values: npt.ArrayLike, place: str) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise RequestError(
            "Not a row of numbers.", field=place, remedy="Give one number for each day."
        )
    numbers = array.astype(np.float64)
    unfit = np.flatnonzero(~np.isfinite(numbers))
    if unfit.size:
        raise RequestError(
            f"{numbers[unfit[0]]} is not a finite number.",
            field=f"{place}[{unfit[0]}]",
            remedy="Leave the day out of both rows.",
        )
    return numbers
