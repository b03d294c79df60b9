"""A report: measures, breaches, decision, explanation and the versions of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from risk_tasks.model.quality import DataFinding


@dataclass(frozen=True, slots=True)
class Stamp:
    """The versions that were current when the block was accepted; empty text means none."""

    market_id: str = ""
    limits_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """A limit that applies and was evaluated, with or without a breach."""

    limit: str
    measure: str
    observed: float
    warn: float | None
    hard: float | None
    unit: str
    #: as in `Breach`, of the hard threshold, or of `warn` if there is no hard threshold
    utilisation: float | None
    #: of the breach, else None
    severity: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """How far one position can change before a hard limit is breached.

    `buy` and `sell` are the largest q >= 0, in units of the instrument, such that every change from
    0 to +q, or from 0 to -q, breaches no hard limit, except those in `Explanation.not_bounded`.
    They are 0 if any hard limit is breached already, even if the trade would cure the breach, and
    None if no limit bounds the trade. `buy_bound_by` and `sell_bound_by` are the ids of the limits
    that bound it.
    """

    instrument: str
    buy: float | None
    sell: float | None
    buy_bound_by: str | None
    sell_bound_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The part of a report that `explain` adds."""

    #: in the order of the limits
    limits: tuple[LimitUse, ...] = ()
    #: by position, in the order of the portfolio
    headroom: tuple[Headroom, ...] = ()
    #: ids of hard limits that the headroom ignores: it has no method for the measure, or no value
    not_bounded: tuple[str, ...] = ()


class ReportStatus(StrEnum):
    """Whether the check was computed."""

    OK = "ok"
    ERROR = "error"


class Decision(StrEnum):
    """The decision that follows from the limits; send an order only on ACCEPT or WARN.

    Members are in order of gravity: a portfolio has the gravest decision of its limits.
    """

    #: no limit was compared: none was given or published, none applies, or all were skipped
    NONE = "none"
    #: limits were compared, and all of them hold
    ACCEPT = "accept"
    WARN = "warn"
    REJECT = "reject"


#: blocks contain decisions as indices of this tuple
GRAVITY = tuple(Decision)


class Severity(StrEnum):
    """The threshold that a breach passed."""

    WARN = "warn"
    HARD = "hard"


class MeasureStatus(StrEnum):
    """Whether a measure has a reliable value."""

    OK = "ok"
    #: the value comes from a simpler method or fewer data than requested; limits still apply to it
    DEGRADED = "degraded"
    INSUFFICIENT_DATA = "insufficient_data"
    UNDEFINED = "undefined"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its unit; `value` is None or finite, never NaN.

    `n_observations` is the number of past outcomes with a return of every position held; None for a
    measure that is not of the past.
    """

    value: float | None
    unit: str
    status: str
    reason: str | None = None
    n_observations: int | None = None


@dataclass(frozen=True, slots=True)
class Contributor:
    """A position's part in an observed value: `amount` in its unit, with its sign.

    `share` is `amount` over the sum of all parts, None if the sum is 0. Hedges are negative, so
    other shares can be above 1.
    """

    instrument: str
    amount: float
    share: float | None


@dataclass(frozen=True, slots=True)
class TailScenario:
    """A past outcome behind a measure, `pnl` in base currency, profit positive.

    `observation` is its index in the market's returns, from 0; for a sum of several days, the index
    of the last day. `date` is the date of this observation, None if the market has no dates.
    """

    observation: int
    date: date | None
    pnl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A passed threshold: a result, never an exception."""

    limit: str
    measure: str
    observed: float
    threshold: float
    unit: str
    #: observed over threshold, for a floor threshold over observed: above 1 is a breach; None if
    #: the divisor is not above 0
    utilisation: float | None
    severity: str
    contributors: tuple[Contributor, ...] = ()
    #: for a historical VaR the outcomes at its rank, for an expected shortfall the five worst
    #: outcomes; empty for other measures
    scenarios: tuple[TailScenario, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEvaluated:
    """A limit that could not be evaluated, or only on a short window, and the reason.

    `missing_data` is the effect on the decision. If the reason is `short_window`, it is the
    `short_window` of the limit, which was also compared with the measure.
    """

    limit: str
    measure: str
    reason: str
    missing_data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportError:
    """The reason why a check was not computed, and the remedy."""

    code: str
    message: str
    field: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """The answer to one check."""

    portfolio_id: str
    market_id: str | None
    limits_version: str | None
    as_of: datetime | None
    status: str
    decision: str
    measures: Mapping[str, Measure] = field(default_factory=dict)
    breaches: tuple[Breach, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    #: SHA-256 of all inputs of the measures; None if nothing was computed
    input_hash: str | None = None
    #: queued_ms, fetch_ms and compute_ms of the block of this check
    timings: Mapping[str, float] = field(default_factory=dict)
    error: ReportError | None = None
    #: None unless requested and computed
    explanation: Explanation | None = None
    #: the number of limits that apply to the portfolio and were compared with their measure
    limits_applied: int = 0
    #: what to know about the data behind the measures
    data_quality: tuple[DataFinding, ...] = ()

    @property
    def code(self) -> str | None:
        """The error's code, or None."""
        return self.error.code if self.error else None
