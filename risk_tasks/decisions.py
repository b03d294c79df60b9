"""Limits compared with the measures of a block: breaches, gaps and decisions.

Numbers may be cached; decisions never are. Missing data fails closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite

import numpy as np
import numpy.typing as npt

from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.limits import (
    Comparison,
    Limit,
    LimitSet,
    MissingData,
    ShortWindow,
    Unmatched,
)
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.quality import FindingKind
from risk_tasks.model.report import GRAVITY, Decision, Severity

BoolArray = npt.NDArray[np.bool_]

#: the reason of a rejection by `LimitSet.unmatched`
NO_LIMIT_APPLIED = "no_limit_applied"


@dataclass(frozen=True, slots=True)
class FoundBreach:
    """A breach of one portfolio of the block, without its explanation."""

    row: int
    limit: Limit
    observed: float
    threshold: float
    utilisation: float | None
    severity: Severity


@dataclass(frozen=True, slots=True)
class FoundGap:
    """A limit that could not be evaluated for a portfolio of the block, or on a short window only.

    `limit` is the limit set if its rule for portfolios without a limit rejects the portfolio.
    `rule` is what the limit or the set says about this case: reject, warn or skip.
    """

    row: int
    limit: Limit | LimitSet
    reason: str
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The result for P portfolios; breaches and gaps are in the order of the limits.

    `gravity` (P,) int8, indices of `GRAVITY`; `limits_applied` (P,) int32, the number of limits
    that apply and were compared; `matched` has the number of portfolios that each limit applies to.
    """

    gravity: npt.NDArray[np.int8]
    limits_applied: npt.NDArray[np.int32]
    matched: list[int] = field(default_factory=list)
    breaches: list[FoundBreach] = field(default_factory=list)
    gaps: list[FoundGap] = field(default_factory=list)


def evaluate(
    limit_set: LimitSet | None,
    columns: Mapping[MeasureName, MeasureColumn],
    valid: BoolArray,
    portfolio_ids: Sequence[str],
    tags: Sequence[Mapping[str, str]],
    short: BoolArray | None = None,
) -> Evaluation:
    """Compare every limit of `limit_set` with every portfolio that it applies to.

    `columns` has the measure of each limit. Rows where `valid` (P,) is false are skipped. `short`
    (P,) marks the rows with too few past outcomes, by default none. The decision is NONE for a
    portfolio with which no limit was compared, unless `missing_data` of a limit or `unmatched` of
    the set requires another.
    """
    n = len(valid)
    evaluation = Evaluation(np.zeros(n, dtype=np.int8), np.zeros(n, dtype=np.int32))
    for limit in limit_set.limits if limit_set else ():
        column = columns[limit.measure_name]
        scope = valid & _scope(limit, portfolio_ids, tags)
        evaluation.matched.append(int(np.count_nonzero(scope)))
        _evaluate_limit(limit, column, scope, evaluation)
        if short is not None and column.n_observations is not None:
            _judge_window(limit, scope & short & column.has_value, evaluation)
    _raise_gravity(evaluation, evaluation.limits_applied > 0, Decision.ACCEPT)
    if limit_set and limit_set.unmatched is Unmatched.REJECT:
        _reject_unmatched(limit_set, valid & (evaluation.limits_applied == 0), evaluation)
    return evaluation


def _reject_unmatched(limit_set: LimitSet, rows: BoolArray, evaluation: Evaluation) -> None:
    _raise_gravity(evaluation, rows, Decision.REJECT)
    evaluation.gaps.extend(
        FoundGap(row, limit_set, NO_LIMIT_APPLIED, str(limit_set.unmatched))
        for row in np.flatnonzero(rows).tolist()
    )


def _judge_window(limit: Limit, rows: BoolArray, evaluation: Evaluation) -> None:
    """Apply `short_window` of `limit` to `rows` (P,), which have too few past outcomes."""
    if limit.short_window is ShortWindow.USE:
        return
    _raise_gravity(evaluation, rows, Decision(limit.short_window))
    evaluation.gaps.extend(
        FoundGap(row, limit, FindingKind.SHORT_WINDOW.value, str(limit.short_window))
        for row in np.flatnonzero(rows).tolist()
    )


def _scope(
    limit: Limit, portfolio_ids: Sequence[str], tags: Sequence[Mapping[str, str]]
) -> BoolArray:
    if not limit.applies_to:
        return np.ones(len(portfolio_ids), dtype=bool)
    rows = zip(portfolio_ids, tags or [{}] * len(portfolio_ids), strict=True)
    return np.array([limit.applies(name, of_row) for name, of_row in rows], dtype=bool)


def _evaluate_limit(
    limit: Limit, column: MeasureColumn, scope: BoolArray, evaluation: Evaluation
) -> None:
    gaps = scope & ~column.has_value
    for row in np.flatnonzero(gaps):
        reason = Outcome(column.outcomes[row]).name.lower()
        evaluation.gaps.append(FoundGap(int(row), limit, reason, str(limit.missing_data)))
    _raise_gravity(evaluation, gaps, _gravity_of_gap(limit))

    open_rows = scope & column.has_value
    np.add(evaluation.limits_applied, open_rows, out=evaluation.limits_applied)
    for threshold, severity, decision in (
        (limit.hard, Severity.HARD, Decision.REJECT),
        (limit.warn, Severity.WARN, Decision.WARN),
    ):
        if threshold is None:
            continue
        passed = open_rows & passes(limit, column.values, threshold)
        open_rows &= ~passed
        _raise_gravity(evaluation, passed, decision)
        for row in np.flatnonzero(passed):
            observed = float(column.values[row])
            used = utilisation(limit, observed, threshold)
            found = FoundBreach(int(row), limit, observed, threshold, used, severity)
            evaluation.breaches.append(found)


def _gravity_of_gap(limit: Limit) -> Decision:
    if limit.missing_data is MissingData.SKIP:
        return Decision.NONE
    if limit.missing_data is MissingData.REJECT and limit.hard is not None:
        return Decision.REJECT
    return Decision.WARN


def _raise_gravity(evaluation: Evaluation, rows: BoolArray, decision: Decision) -> None:
    level = np.int8(GRAVITY.index(decision))
    np.maximum(evaluation.gravity, level, out=evaluation.gravity, where=rows)


def passes(limit: Limit, values: npt.NDArray[np.float64], threshold: float) -> BoolArray:
    """Whether each value lies beyond `threshold`; equality does not, nor does NaN."""
    match Comparison(limit.comparison):
        case Comparison.ABOVE:
            return values > threshold
        case Comparison.BELOW:
            return values < threshold
        case Comparison.ABSOLUTE:
            return np.abs(values) > threshold


def utilisation(limit: Limit, observed: float, threshold: float) -> float | None:
    """Return observed over threshold, or threshold over observed for `below`.

    Above 1 is a breach; None if the divisor is not above 0 or the quotient is not finite.
    """
    if limit.comparison is Comparison.ABSOLUTE:
        observed = abs(observed)
    over, under = (
        (threshold, observed) if limit.comparison is Comparison.BELOW else (observed, threshold)
    )
    used = over / under if under > 0 else inf
    return used if isfinite(used) else None
