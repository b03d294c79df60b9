"""Live portfolios: what is known of one that the system holds, and what became of its limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from risk_tasks.model.report import RiskReport


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
