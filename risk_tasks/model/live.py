"""Live portfolios: their latest reports, and the states of their limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from risk_tasks.model.limits import Limit, LimitSet, ShortWindow
from risk_tasks.model.quality import FindingKind
from risk_tasks.model.report import Breach, Decision, NotEvaluated, RiskReport, Severity


class LimitState(StrEnum):
    """The state of one limit of a live portfolio."""

    #: the limit is not breached
    OK = "ok"
    #: nothing is compared: the limit no longer applies, or no limit of the set does
    NONE = "none"
    WARN = "warn"
    HARD = "hard"
    #: unknown, or known from a short window that the limit rejects; as severe as a hard breach
    #: unless `missing_data` of the limit differs
    NOT_EVALUATED = "not_evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStanding:
    """The state of a limit for a portfolio, from one report; or of the whole set, without measure.

    `observed` and `threshold` are in `unit`, None if unknown.
    """

    limit: str
    measure: str
    state: LimitState
    observed: float | None = None
    threshold: float | None = None
    unit: str = ""
    #: the reason if the limit was not evaluated, or on a short window only, else None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """A change of state of one limit of one live portfolio: an entry of the breach stream.

    `id` is the position in the stream, valid for `since`. All messages about this change have the
    same `event_id`. `before` is the previous state. `reason` is the reason of the critical event
    whose check found the change, else None.
    """

    id: str
    event_id: str
    portfolio_id: str
    #: the version of the checked portfolio
    version: int
    before: LimitState
    standing: LimitStanding
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReport:
    """The latest report of a live portfolio.

    It is a report of `version`; `current_version` is later while a change is being computed.
    `reason` is the reason of the critical event that requested this report, else None.
    """

    report: RiskReport
    version: int
    current_version: int
    age_s: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalEvent:
    """An accepted critical event: how many portfolios are checked, and which ids are unknown."""

    n_portfolios: int
    unknown_ids: tuple[str, ...] = ()


def standings(
    report: RiskReport, limit_set: LimitSet | None, tags: Mapping[str, str]
) -> list[LimitStanding]:
    """Return the state of each limit that applies to the portfolio of `report`, and of the set.

    A limit without a breach has the threshold `warn`, or else `hard`. A limit whose measure has no
    value is not evaluated, nor is one that rejects a short window, unless it is broken. The set is
    `none` if no limit was compared, and not evaluated if it rejects the portfolio for this or
    nothing could be computed.
    """
    if limit_set is None:
        return []
    limits = limit_set.applying(report.portfolio_id, tags)
    broken = {breach.limit: breach for breach in report.breaches}
    gaps = {gap.limit: gap for gap in report.not_evaluated}
    own = [_standing(report, limit, broken.get(limit.id), gaps.get(limit.id)) for limit in limits]
    return [*own, _standing_of_set(report, limit_set, gaps.get(limit_set.unmatched_id), own)]


def _standing_of_set(
    report: RiskReport,
    limit_set: LimitSet,
    gap: NotEvaluated | None,
    own: Sequence[LimitStanding],
) -> LimitStanding:
    state, reason = LimitState.OK, None
    if gap is not None or (report.error is not None and not own):
        state, reason = LimitState.NOT_EVALUATED, gap.reason if gap else report.code
    elif report.decision == Decision.NONE:
        state = LimitState.NONE
    return LimitStanding(limit=limit_set.unmatched_id, measure="", state=state, reason=reason)


def _standing(
    report: RiskReport, limit: Limit, breach: Breach | None, gap: NotEvaluated | None
) -> LimitStanding:
    measure = report.measures.get(limit.measure)
    observed = measure.value if measure else None
    is_short = gap is not None and gap.reason == FindingKind.SHORT_WINDOW
    reason = gap.reason if gap else None
    if report.error is not None or observed is None or (gap and not is_short):
        return LimitStanding(
            limit=limit.id,
            measure=limit.measure,
            state=LimitState.NOT_EVALUATED,
            unit=limit.measure_name.definition.unit.value,
            reason=report.code or reason or (measure and measure.reason) or "not_computed",
        )
    state, threshold = LimitState.OK, limit.hard if limit.warn is None else limit.warn
    if breach is not None:
        state = LimitState.HARD if breach.severity == Severity.HARD else LimitState.WARN
        threshold = breach.threshold
    if is_short and state is not LimitState.HARD:
        rejects = limit.short_window is ShortWindow.REJECT
        state = LimitState.NOT_EVALUATED if rejects else LimitState.WARN
    return LimitStanding(
        limit=limit.id,
        measure=limit.measure,
        state=state,
        observed=observed,
        threshold=threshold,
        unit=limit.measure_name.definition.unit.value,
        reason=reason,
    )
