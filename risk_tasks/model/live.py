"""Live portfolios: their latest reports, and how they stand to their limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from risk_tasks.model.limits import Limit
from risk_tasks.model.report import Breach, RiskReport, Severity


class LimitState(StrEnum):
    """How a live portfolio stands to one limit."""

    #: the limit is kept, or does not apply any more
    OK = "ok"
    WARN = "warn"
    HARD = "hard"
    #: unknown; as severe as a hard breach unless the limit says otherwise
    NOT_EVALUATED = "not_evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStanding:
    """How a portfolio stands to a limit according to one report.

    `observed` and `threshold` are in `unit`, None if unknown.
    """

    limit: str
    measure: str
    state: LimitState
    observed: float | None = None
    threshold: float | None = None
    unit: str = ""
    #: why the limit was not evaluated, else None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """A change of state of one limit of one live portfolio: an entry of the breach stream.

    `id` is the position in the stream, valid for `since`. `event_id` is the same in every message
    about this change. `before` is the previous state. `reason` is that of the critical event whose
    check found the change, else None.
    """

    id: str
    event_id: str
    portfolio_id: str
    #: of the portfolio that was measured
    version: int
    before: LimitState
    standing: LimitStanding
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReport:
    """The latest report of a live portfolio.

    It is of `version`; `current_version` is later while a change is being computed. `reason` is
    that of the critical event that requested this report, else None.
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


def standings(report: RiskReport, limits: Iterable[Limit]) -> list[LimitStanding]:
    """Return how the portfolio of `report` stands to each of `limits`, which apply to it.

    A limit that is kept has its next threshold: `warn`, or else `hard`. A limit that is neither
    known to be kept nor broken is not evaluated.
    """
    broken = {breach.limit: breach for breach in report.breaches}
    gaps = {gap.limit: gap.reason for gap in report.not_evaluated}
    return [_standing(report, limit, broken.get(limit.id), gaps.get(limit.id)) for limit in limits]


def _standing(
    report: RiskReport, limit: Limit, breach: Breach | None, reason: str | None
) -> LimitStanding:
    measure = report.measures.get(limit.measure)
    observed = measure.value if measure else None
    if report.error is not None or reason is not None or observed is None:
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
    return LimitStanding(
        limit=limit.id,
        measure=limit.measure,
        state=state,
        observed=observed,
        threshold=threshold,
        unit=limit.measure_name.definition.unit.value,
    )
