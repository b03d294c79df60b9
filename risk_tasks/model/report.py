"""A report: measures, breaches, decision, explanation and the versions of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Stamp:
    """The versions that were current when the block was accepted; an empty text means none."""

    market_id: str = ""
    limits_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """A limit that applies and was evaluated, broken or not."""

    limit: str
    measure: str
    observed: float
    warn: float | None
    hard: float | None
    unit: str
    #: as in a breach, against the hard threshold, or the warning one where there is no other
    utilisation: float | None
    #: of the breach, None where there is none
    severity: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """How much more of one position breaks no hard limit, all else being as it is.

    `buy` and `sell` are the largest q >= 0, in units of the instrument, such that the portfolio
    with that position changed by +q, or by -q, and by anything less, keeps within every hard limit
    that `Explanation.not_bounded` does not name. 0 where one of all hard limits is broken as it is,
    even where the trade would heal it; None where nothing bounds the trade. `buy_bound_by` and
    `sell_bound_by` are the ids of the limits that end it.
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
    #: ids of hard limits that the headroom ignores: their measure has no method, or has no value
    not_bounded: tuple[str, ...] = ()


class ReportStatus(StrEnum):
    """Whether the check was computed at all."""

    OK = "ok"
    ERROR = "error"


class Decision(StrEnum):
    """What follows from the limits; anything but ACCEPT and WARN keeps an order back.

    By rank of gravity: the decision of a portfolio is the gravest that any limit asks for.
    """

    #: there were no limits to hold the portfolio against
    NONE = "none"
    ACCEPT = "accept"
    WARN = "warn"
    REJECT = "reject"


#: the decisions of a block are places in this
GRAVITY = tuple(Decision)


class Severity(StrEnum):
    """Which threshold a breach passed."""

    WARN = "warn"
    HARD = "hard"


class MeasureStatus(StrEnum):
    """Whether a value may be relied on."""

    OK = "ok"
    #: the number is compared with limits; it comes from a simpler method than requested
    DEGRADED = "degraded"
    INSUFFICIENT_DATA = "insufficient_data"
    UNDEFINED = "undefined"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with what it is counted in; `value` is None or finite, never NaN."""

    value: float | None
    unit: str
    status: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Contributor:
    """A position's part in an observed value: `amount` in its unit, with its sign.

    `share` is of the sum of all parts, None where that is 0; hedges are negative, so that the
    others may be above 1.
    """

    instrument: str
    amount: float
    share: float | None


@dataclass(frozen=True, slots=True)
class TailScenario:
    """A past outcome that a number rests on, `pnl` in base currency, profit positive.

    `observation` is its place in the market's returns, from 0; of several days summed, that of the
    last. `date` is that of the place, None where the market has no dates.
    """

    observation: int
    date: date | None
    pnl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A threshold that was passed: a result, never an exception."""

    limit: str
    measure: str
    observed: float
    threshold: float
    unit: str
    #: above 1 is beyond it: observed over threshold, for a floor threshold over observed; None
    #: where what it is divided by is not above 0
    utilisation: float | None
    severity: str
    contributors: tuple[Contributor, ...] = ()
    #: behind a historical VaR the outcomes that it is read from, behind an expected shortfall the
    #: five worst that it averages; empty for other measures
    scenarios: tuple[TailScenario, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEvaluated:
    """A limit that could not be evaluated, with the reason and its effect on the decision."""

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
    #: SHA-256 of all that the numbers depend on; None where nothing was computed
    input_hash: str | None = None
    #: queued_ms, fetch_ms and compute_ms of the block that carried the check
    timings: Mapping[str, float] = field(default_factory=dict)
    error: ReportError | None = None
    #: if it was requested and could be computed
    explanation: Explanation | None = None

    @property
    def code(self) -> str | None:
        """The error's code, or None."""
        return self.error.code if self.error else None
