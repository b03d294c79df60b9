"""The options of a check: keyword arguments, read once into what its blocks carry."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypedDict, TypeVar, Unpack

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.errors import (
    InvalidLimitError,
    InvalidSettingsError,
    RiskTasksError,
    request_error,
)
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.report import RiskReport
from risk_tasks.model.values import as_finite, is_name
from risk_tasks.queues import CHECK_BLOCK_TASK, LANE_OF_KIND, Lane
from risk_tasks.wire.request import Detail, Terms

Kind = TypeVar("Kind")

_MAX_TIMEOUT_S = 86_400
_DEFAULT_SETTINGS = MeasureSettings()
#: options of these types are equal only if they are read as the same
_CACHEABLE = frozenset((str, int, float, type(None)))


class CheckOptions(TypedDict, total=False):
    """The keyword arguments of every check."""

    #: a limit set, the name of a published one, or None for the published default
    limits: LimitSet | str | None
    #: names such as `value_at_risk@0.95`, or None for the standard set
    measures: Iterable[str] | None
    #: what the names of measures leave open
    settings: MeasureSettings | None
    #: name or id of a published market, or None for the default
    market: str | None
    #: the lane: `critical`, `normal` or `batch`
    priority: str
    #: seconds to wait, or None for the timeout of the client
    timeout_s: float | None


class CoalescingKey:
    """Equal for calls that may share a message; its hash is computed once."""

    __slots__ = ("_hash", "_value")

    def __init__(self, value: Hashable) -> None:
        self._value = value
        self._hash = hash(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, CoalescingKey) and self._value == other._value)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The options of one call: what its blocks carry, their lane, and how long the caller waits."""

    terms: Terms
    stamp: StampRequest
    lane: Lane
    timeout_s: float
    coalescing_key: CoalescingKey


def read_options(
    detail: Detail, default_timeout_s: float, **options: Unpack[CheckOptions]
) -> CallOptions:
    """Return the options of a call; raises `RequestError` naming the argument that is not valid."""
    if all(type(option) in _CACHEABLE for option in options.values()):
        return _read_cached(detail, default_timeout_s, **options)
    return _read(detail, default_timeout_s, **options)


def _read(
    detail: Detail,
    default_timeout_s: float,
    *,
    limits: LimitSet | str | None = None,
    measures: Iterable[str] | None = None,
    settings: MeasureSettings | None = None,
    market: str | None = None,
    priority: str = LANE_OF_KIND[CHECK_BLOCK_TASK],
    timeout_s: float | None = None,
) -> CallOptions:
    if not (limits is None or isinstance(limits, LimitSet) or is_name(limits)):
        raise InvalidLimitError(
            f"Expected a LimitSet or the name of a published one, found {limits!r:.80}.",
            field="limits",
        )
    if not (settings is None or isinstance(settings, MeasureSettings)):
        raise InvalidSettingsError(
            f"Expected MeasureSettings, found {type(settings).__name__}.", field="settings"
        )
    if not (market is None or is_name(market)):
        raise InvalidSettingsError(
            f"Expected the name or the id of a market, found {market!r:.80}.",
            field="market",
            remedy="Give that of a published market, or None for the default.",
        )
    inline = limits if isinstance(limits, LimitSet) else None
    terms = Terms(parse_measures(measures), settings or _DEFAULT_SETTINGS, inline, detail)
    stamp = StampRequest(
        market or DEFAULT_NAME,
        "" if inline else str(limits or DEFAULT_NAME),
        IfMissing.REFUSE if isinstance(limits, str) else IfMissing.NONE,
    )
    lane = read_lane(priority)
    wait_s = read_timeout(default_timeout_s if timeout_s is None else timeout_s)
    version = inline.version if inline else None
    key = (terms.measures, terms.settings, version, detail, stamp, lane, wait_s)
    return CallOptions(terms, stamp, lane, wait_s, CoalescingKey(key))


#: most calls have the options of earlier ones, thousands of times a second
_read_cached: Callable[..., CallOptions] = lru_cache(maxsize=256)(_read)


def read_timeout(timeout_s: float) -> float:
    """Return `timeout_s`; raises `InvalidSettingsError` for anything but seconds to wait."""
    wait_s = as_finite(timeout_s)
    if wait_s is None or not 0 < wait_s <= _MAX_TIMEOUT_S:
        raise InvalidSettingsError(
            f"{timeout_s!r} is not a time to wait.",
            field="timeout_s",
            remedy=f"Give seconds, more than 0 and up to {_MAX_TIMEOUT_S}.",
        )
    return wait_s


def read_replicas(replicas_required: int) -> int:
    """Return `replicas_required`; raises `InvalidSettingsError` unless it is a count of them."""
    if not isinstance(replicas_required, int) or replicas_required < 0:
        raise InvalidSettingsError(
            f"{replicas_required!r} is not a number of replicas.",
            field="replicas_required",
            remedy="Give a whole number, 0 for none.",
        )
    return replicas_required


def read_lane(priority: str) -> Lane:
    """Return the lane of this name; raises `InvalidSettingsError` for any other."""
    try:
        return Lane(priority)
    except ValueError:
        raise InvalidSettingsError(
            f"Unknown lane {priority!r}: expected {', '.join(Lane)}.",
            field="priority",
            remedy="Choose one of these lanes.",
        ) from None


def require_published(
    item: Kind, kind: type[Kind], error: type[RiskTasksError], name: object
) -> Kind:
    """Return `item`, which is published under `name`; raises `error` if it is not a `kind`."""
    if not isinstance(item, kind):
        raise error(f"{type(item).__name__} is not a {kind.__name__}.")
    if not is_name(name):
        raise InvalidSettingsError(f"{name!r} is not a name.", field="name")
    return item


def require_computed(report: RiskReport) -> RiskReport:
    """Return `report`, or raise the `RequestError` that it holds."""
    error = report.error
    kind = request_error(error.code) if error else None
    if error and kind:
        raise kind(error.message, field=error.field, remedy=error.remedy)
    return report
