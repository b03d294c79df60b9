"""Limits on the measures of a portfolio, and the rule for a measure that cannot be computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from risk_tasks.errors import InvalidLimitError, RequestError
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.values import as_finite, is_name, is_utf8

#: the tag that every portfolio has without being given it
PORTFOLIO_ID_TAG = "portfolio_id"


class Comparison(StrEnum):
    """On which side of the threshold a breach lies; equality never breaches."""

    ABOVE = "above"
    BELOW = "below"
    #: the magnitude is above the threshold, for either sign
    ABSOLUTE = "absolute"


class MissingData(StrEnum):
    """What an unevaluated limit does to the decision."""

    #: a hard limit rejects, a warning limit warns
    REJECT = "reject"
    WARN = "warn"
    SKIP = "skip"


@dataclass(frozen=True)
class Limit:
    """Thresholds on one measure, for the portfolios whose tags match `applies_to`.

    `warn` and `hard` are in the measure's unit; passing `warn` warns, passing `hard` rejects.
    `applies_to` maps a tag, or `portfolio_id`, to the one value or the values that it may have.
    `id` is how breaches name the limit; it defaults to the measure and what it applies to.
    """

    measure: str
    warn: float | None = field(default=None, kw_only=True)
    hard: float | None = field(default=None, kw_only=True)
    applies_to: Mapping[str, str | Sequence[str]] = field(default_factory=dict, kw_only=True)
    missing_data: str = field(default=MissingData.REJECT, kw_only=True)
    comparison: str = field(default=Comparison.ABOVE, kw_only=True)
    id: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        try:
            name = MeasureName.parse(self.measure)
        except RequestError as error:
            raise InvalidLimitError(error.message, field="measure", remedy=error.remedy) from error
        object.__setattr__(self, "measure", str(name))
        _set_choice(self, "missing_data", MissingData)
        _set_choice(self, "comparison", Comparison)
        for place in ("warn", "hard"):
            object.__setattr__(self, place, _threshold(getattr(self, place), place))
        if self.warn is None and self.hard is None:
            raise InvalidLimitError("Neither warn nor hard is given.", field="hard")
        self._check_order()
        if not isinstance(self.applies_to, Mapping):
            raise InvalidLimitError("Not a mapping of tags.", field="applies_to")
        if not isinstance(self.id, str):
            raise InvalidLimitError("An id is a text.", field="id")
        for key in self.applies_to:
            if not isinstance(key, str):
                raise InvalidLimitError("A tag is a text.", field=f"applies_to[{key!r}]")
        scope = {key: _values(key, value) for key, value in sorted(self.applies_to.items())}
        object.__setattr__(self, "applies_to", MappingProxyType(scope))
        if not self.id:
            object.__setattr__(self, "id", self.measure + _scope_text(scope))
        if not is_utf8(self.id + _scope_text(scope)):
            raise InvalidLimitError("A text cannot be written as UTF-8.", field="id")

    @cached_property
    def measure_name(self) -> MeasureName:
        return MeasureName.parse(self.measure)

    def _check_order(self) -> None:
        if self.warn is None or self.hard is None:
            return
        below = self.comparison is Comparison.BELOW
        ordered = self.warn >= self.hard if below else self.warn <= self.hard
        if not ordered:
            raise InvalidLimitError(
                f"warn {self.warn:g} would never be passed before hard {self.hard:g}.",
                field="warn",
                remedy="Put the warning threshold on the safe side of the hard one.",
            )

    def applies(self, portfolio_id: str, tags: Mapping[str, str]) -> bool:
        """Whether this limit is for a portfolio of this id with these tags."""
        return all(
            (portfolio_id if key == PORTFOLIO_ID_TAG else tags.get(key)) in values
            for key, values in self.applies_to.items()
        )


def _set_choice(limit: Limit, place: str, kind: type[StrEnum]) -> None:
    try:
        object.__setattr__(limit, place, kind(getattr(limit, place)))
    except ValueError:
        raise InvalidLimitError(
            f"{getattr(limit, place)!r} is not known.",
            field=place,
            remedy=f"Choose one of {', '.join(kind)}.",
        ) from None


def _threshold(number: float | None, place: str) -> float | None:
    if number is None:
        return None
    value = as_finite(number)
    if value is None:
        raise InvalidLimitError(f"{number!r} is not a finite number.", field=place)
    # -0.0 becomes 0.0: equal limits have equal versions.
    return value + 0.0


def _values(key: str, value: str | Sequence[str]) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value
    if (
        not isinstance(values, list | tuple)
        or not values
        or not all(isinstance(item, str) for item in values)
    ):
        raise InvalidLimitError("A tag has one text or several.", field=f"applies_to[{key!r}]")
    return tuple(values)


def _scope_text(scope: Mapping[str, tuple[str, ...]]) -> str:
    if not scope:
        return ""
    return "[" + ",".join(f"{key}={'|'.join(values)}" for key, values in scope.items()) + "]"


@dataclass(frozen=True)
class LimitSet:
    """Limits that are published, stamped and evaluated together."""

    id: str
    limits: Sequence[Limit]

    def __post_init__(self) -> None:
        if not is_name(self.id):
            raise InvalidLimitError("A limit set needs an id that is not empty.", field="id")
        if not isinstance(self.limits, Iterable):
            raise InvalidLimitError("Not a list of limits.", field="limits")
        object.__setattr__(self, "limits", tuple(self.limits))
        seen: set[str] = set()
        for place, limit in enumerate(self.limits):
            if not isinstance(limit, Limit):
                raise InvalidLimitError("Not a Limit.", field=f"limits[{place}]")
            if limit.id in seen:
                raise InvalidLimitError(
                    f"Two limits are called {limit.id!r}.",
                    field=f"limits[{place}].id",
                    remedy="Give one of them an id of its own.",
                )
            seen.add(limit.id)

    def applying(self, portfolio_id: str, tags: Mapping[str, str]) -> list[Limit]:
        """Return the limits that are for a portfolio of this id with these tags."""
        return [limit for limit in self.limits if limit.applies(portfolio_id, tags)]

    @cached_property
    def version(self) -> str:
        """SHA-256 of the content: the same limits have the same version everywhere."""
        rows = [
            {**limit_document(limit), "applies_to": sorted(limit.applies_to.items())}
            for limit in self.limits
        ]
        return hashlib.sha256(json.dumps([self.id, rows], sort_keys=True).encode()).hexdigest()


def limit_document(limit: Limit) -> dict[str, object]:
    """Return `limit` as plain values, with the keys of a file."""
    return {
        "id": limit.id,
        "measure": limit.measure,
        "warn": limit.warn,
        "hard": limit.hard,
        "applies_to": {key: list(values) for key, values in limit.applies_to.items()},
        "missing_data": str(limit.missing_data),
        "comparison": str(limit.comparison),
    }
