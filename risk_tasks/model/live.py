"""Live portfolios: what is known of one that the system holds, and what became of its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from risk_tasks.model.limits import Limit
from risk_tasks.model.report import Breach, RiskReport, Severity


class LimitState(StrEnum):
    """How a live portfolio stands to one limit."""

    #: within it, or no longer held against it
    OK = "ok"
    WARN = "warn"
    HARD = "hard"
    #: not to be told: as grave as a hard breach unless the limit says otherwise
    NOT_EVALUATED = "not_evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStanding:
    """Where a portfolio stands to a limit, as one report found it.

    `observed` and `threshold` are in `unit`; None where they are not known.
    """

    limit: str
    measure: str
    state: LimitState
    observed: float | None = None
    threshold: float | None = None
    unit: str = ""
    #: why it was not evaluated, else None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """A change of state of one limit of one live portfolio: an entry of the breach stream.

    `id` is the place in the stream, good for `since`; `event_id` is the same wherever and however
    often this change is told. `before` is the state until then.
    """

    id: str
    event_id: str
    portfolio_id: str
    #: of the portfolio that was measured
    version: int
    before: LimitState
    standing: LimitStanding
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReport:
    """The latest report of a live portfolio.

    It is of `version`; `current_version` is later where a change is still being computed.
    """

    report: RiskReport
    version: int
    current_version: int
    age_s: float


def standings(report: RiskReport, limits: Iterable[Limit]) -> list[LimitStanding]:
    """Return where the portfolio of `report` stands to each of `limits`, which apply to it.

    One that is kept has its next threshold beside what was observed: `warn`, or else `hard`. What
    is not known to be kept, or broken, is not evaluated.
    """
    broken = {breach.limit: breach for breach in report.breaches}
    untold = {gap.limit: gap.reason for gap in report.not_evaluated}
    return [
        _standing(report, limit, broken.get(limit.id), untold.get(limit.id)) for limit in limits
    ]


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
