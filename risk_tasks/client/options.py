"""The keyword arguments of every check, read once into what goes on the wire."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TypedDict, TypeVar, Unpack

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.client.check_ids import CheckId
from risk_tasks.errors import (
    InvalidLimitError,
    InvalidSettingsError,
    ReportTimeoutError,
    RiskTasksError,
    request_error,
)
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.name import is_name
from risk_tasks.model.number import as_finite
from risk_tasks.model.report import RiskReport
from risk_tasks.queues import CHECK_BLOCK_TASK, LANE_OF_KIND, Lane
from risk_tasks.wire.request import Detail, Terms

_MAX_TIMEOUT_S = 86_400
_USUAL = MeasureSettings()


@dataclass(frozen=True, slots=True)
class CallTerms:
    """One call: what its blocks carry, where they go, and how long it waits."""

    terms: Terms
    stamp: StampRequest
    lane: Lane
    timeout_s: float


class CheckOptions(TypedDict, total=False):
    """What every kind of check may be given by keyword."""

    #: a set of one's own, the name of a published one, or None for the published default
    limits: LimitSet | str | None
    #: names such as `value_at_risk@0.95`, or None for the standard set
    measures: Iterable[str] | None
    #: for what the names of measures leave open
    settings: MeasureSettings | None
    #: name or id of a published market, or None for the default
    market: str | None
    #: the lane: `critical`, `normal` or `batch`
    priority: str
    #: seconds to wait, or None for the client's own
    timeout_s: float | None


def kind_of(call: CallTerms) -> Hashable:
    """Return what calls have in common that may share a block."""
    terms, limits = call.terms, call.terms.limits
    version = limits.version if limits else None
    said = (terms.measures, terms.settings, version, terms.detail)
    return _Kind((*said, call.stamp, call.lane, call.timeout_s))


class KnownCalls:
    """Calls that were read before: most ask the same, thousands of times a second."""

    def __init__(self, default_timeout_s: float) -> None:
        self._default_timeout_s = default_timeout_s
        self._known: dict[Hashable, tuple[CallTerms, Hashable]] = {}
        # Read at once, so that a time-out that is none is told where it was given.
        self.read(explain=False)

    def read(self, *, explain: bool, **options: Unpack[CheckOptions]) -> tuple[CallTerms, Hashable]:
        """Return the terms of a check and its kind; raises as `read_call` does."""
        said = (explain, *options.items())
        # What is equal to a text or to a number of these types is read as the same.
        is_plain = type(explain) is bool and all(type(one) in _PLAIN for one in options.values())
        known = self._known.get(said) if is_plain else None
        if known is None:
            call = read_call(Detail.of_reports(explain), self._default_timeout_s, **options)
            known = call, kind_of(call)
            if is_plain:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known[said] = known
        return known


_PLAIN = frozenset((str, int, float, type(None)))
_MAX_KNOWN = 256


class _Kind:
    """A value whose hash is computed once."""

    __slots__ = ("_hash", "_value")

    def __init__(self, value: Hashable) -> None:
        self._value = value
        self._hash = hash(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Kind) and self._value == other._value)


def read_call(
    detail: Detail,
    default_timeout_s: float,
    *,
    limits: LimitSet | str | None = None,
    measures: Iterable[str] | None = None,
    settings: MeasureSettings | None = None,
    market: str | None = None,
    priority: str = LANE_OF_KIND[CHECK_BLOCK_TASK],
    timeout_s: float | None = None,
) -> CallTerms:
    """Return the terms of a call; raises `RequestError` naming the argument that is not valid."""
    if not (limits is None or isinstance(limits, LimitSet) or is_name(limits)):
        raise InvalidLimitError("Give a LimitSet, or the name of a published one.", field="limits")
    if not (settings is None or isinstance(settings, MeasureSettings)):
        raise InvalidSettingsError("Give MeasureSettings.", field="settings")
    if not (market is None or is_name(market)):
        raise InvalidSettingsError("Give the name or the id of a market.", field="market")
    inline = limits if isinstance(limits, LimitSet) else None
    name = "" if inline else limits or DEFAULT_NAME
    return CallTerms(
        Terms(parse_measures(measures), settings or _USUAL, inline, detail),
        StampRequest(
            market or DEFAULT_NAME,
            str(name),
            IfMissing.REFUSE if isinstance(limits, str) else IfMissing.NONE,
        ),
        read_lane(priority),
        read_timeout(default_timeout_s if timeout_s is None else timeout_s),
    )


def read_timeout(timeout_s: float) -> float:
    """Return `timeout_s`; raises `InvalidSettingsError` for what is no time to wait."""
    wait_s = as_finite(timeout_s)
    if wait_s is None or not 0 < wait_s <= _MAX_TIMEOUT_S:
        raise InvalidSettingsError(
            f"{timeout_s!r} is not a time to wait.",
            field="timeout_s",
            remedy=f"Give seconds, more than 0 and up to {_MAX_TIMEOUT_S}.",
        )
    return wait_s


def read_lane(priority: str) -> Lane:
    """Return the lane of this name; raises `InvalidSettingsError` for another."""
    try:
        return Lane(priority)
    except ValueError:
        raise InvalidSettingsError(
            f"{priority!r} is not a lane.",
            field="priority",
            remedy=f"Choose one of {', '.join(Lane)}.",
        ) from None


Kind = TypeVar("Kind")


def require_request(report: RiskReport) -> RiskReport:
    """Return `report`, or raise the `RequestError` that it holds."""
    error = report.error
    kind = request_error(error.code) if error else None
    if error and kind:
        raise kind(error.message, field=error.field, remedy=error.remedy)
    return report


def require_published(
    item: Kind, kind: type[Kind], error: type[RiskTasksError], name: object
) -> Kind:
    """Return what is to be published under `name`; raises `error` for what is no `kind`."""
    if not isinstance(item, kind):
        raise error(f"{type(item).__name__} is not a {kind.__name__}.")
    if not is_name(name):
        raise InvalidSettingsError(f"{name!r} is not a name.", field="name")
    return item


def unanswered(call: CallTerms, check_id: CheckId | str) -> ReportTimeoutError:
    """Return what a caller is told whose time is over."""
    return ReportTimeoutError(
        f"No report within {call.timeout_s:g} s in the {call.lane.value} lane.",
        check_id=str(check_id),
    )


def of_row(error: Exception, row: int) -> Exception:
    """Return `error` as it is told to the caller of one check among others.

    The id of a call that is late is that of its own row alone.
    """
    if not isinstance(error, ReportTimeoutError) or not error.check_id:
        return error
    own = replace(CheckId.parse(error.check_id), rows=(row, row + 1))
    return ReportTimeoutError(error.message, check_id=str(own))
