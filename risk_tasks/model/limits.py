"""Limits on the measures of a portfolio, and the rule for a measure that cannot be computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from risk_tasks.errors import InvalidLimitError, RequestError
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.registry import Unit
from risk_tasks.model.values import (
    is_utf8,
    require_choice,
    require_finite,
    require_mapping,
    require_name,
)

#: a tag that every portfolio has: its id
PORTFOLIO_ID_TAG = "portfolio_id"


class Comparison(StrEnum):
    """The side of the threshold that is a breach; equality is not a breach."""

    ABOVE = "above"
    BELOW = "below"
    #: the absolute value is above the threshold
    ABSOLUTE = "absolute"


class MissingData(StrEnum):
    """The effect on the decision if a limit cannot be evaluated."""

    #: a hard limit rejects, a warning limit warns
    REJECT = "reject"
    WARN = "warn"
    SKIP = "skip"


class Unmatched(StrEnum):
    """The decision on a portfolio with which no limit of the set was compared."""

    NONE = "none"
    REJECT = "reject"


class WarningKind(StrEnum):
    """What is probably not meant in a limit that is valid."""

    #: every ordinary book passes the threshold
    ALWAYS_FIRES = "always_fires"
    #: no ordinary book passes the threshold, which may be a percentage
    HARDLY_FIRES = "hardly_fires"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitWarning:
    """A threshold of a valid limit that is probably not meant; `field` is warn or hard."""

    kind: str
    limit: str
    field: str
    message: str


class ShortWindow(StrEnum):
    """The least effect on the decision if the measure of a limit has too few past outcomes."""

    WARN = "warn"
    REJECT = "reject"
    #: no effect
    USE = "use"


@dataclass(frozen=True)
class Limit:
    """Thresholds on one measure, for the portfolios whose tags match `applies_to`.

    `warn` and `hard` are in the measure's unit: beyond `warn` the decision is warn, beyond `hard`
    reject. `short_window` is the least effect of a measure of the past with too few outcomes, also
    if no threshold is passed. `applies_to` maps a tag, or `portfolio_id`, to one value or a list of
    values. Breaches contain `id`, which defaults to the measure and `applies_to`.

    Raises `InvalidLimitError` with the field, also for a threshold that no value can pass.
    """

    measure: str
    warn: float | None = field(default=None, kw_only=True)
    hard: float | None = field(default=None, kw_only=True)
    applies_to: Mapping[str, str | Sequence[str]] = field(default_factory=dict, kw_only=True)
    missing_data: str = field(default=MissingData.REJECT, kw_only=True)
    comparison: str = field(default=Comparison.ABOVE, kw_only=True)
    short_window: str = field(default=ShortWindow.WARN, kw_only=True)
    id: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        try:
            measure = MeasureName.parse(self.measure)
        except RequestError as error:
            raise InvalidLimitError(error.message, field="measure", remedy=error.remedy) from error
        object.__setattr__(self, "measure", str(measure))
        choices: tuple[tuple[str, type[StrEnum]], ...] = (
            ("missing_data", MissingData),
            ("comparison", Comparison),
            ("short_window", ShortWindow),
        )
        for name, kind in choices:
            choice = require_choice(getattr(self, name), kind, name, InvalidLimitError)
            object.__setattr__(self, name, choice)
        for name in ("warn", "hard"):
            number = getattr(self, name)
            if number is not None:
                # Adding 0.0 turns -0.0 into 0.0: equal limits have equal versions.
                number = require_finite(number, name, InvalidLimitError) + 0.0
                object.__setattr__(self, name, number)
        if self.warn is None and self.hard is None:
            raise InvalidLimitError(
                "The limit has no threshold: expected warn, hard, or both.",
                field="hard",
                remedy="Give at least one of the two.",
            )
        self._check_order()
        for name, threshold in self.thresholds.items():
            self._check_possible(name, threshold)
        if not isinstance(self.id, str):
            raise InvalidLimitError(
                f"{self.id!r} is not an id: expected text.",
                field="id",
                remedy="Give text, or leave id out for the default.",
            )
        scope = _scope(self.applies_to)
        object.__setattr__(self, "applies_to", MappingProxyType(scope))
        if not self.id:
            object.__setattr__(self, "id", self.measure + _scope_text(scope))
        if not is_utf8(self.id + _scope_text(scope)):
            raise InvalidLimitError(
                "The id or applies_to is not valid UTF-8.",
                field="id",
                remedy="Remove the lone surrogates.",
            )

    @cached_property
    def measure_name(self) -> MeasureName:
        return MeasureName.parse(self.measure)

    @property
    def thresholds(self) -> dict[str, float]:
        """The thresholds that are given, by name."""
        given = {"warn": self.warn, "hard": self.hard}
        return {name: number for name, number in given.items() if number is not None}

    def _check_possible(self, name: str, threshold: float) -> None:
        """Raise for a threshold that no value of the measure can pass."""
        lowest, highest = self._bounds()
        below = self.comparison is Comparison.BELOW
        bound = lowest if below else highest
        if bound is None or (threshold > bound if below else threshold < bound):
            return
        is_fraction = self.measure_name.definition.unit is Unit.FRACTION
        raise InvalidLimitError(
            f"{name} {threshold:g} can never be passed: {self.measure} is {bound:g} at "
            f"{'least' if below else 'most'}.",
            field=name,
            remedy=f"Give a threshold {'above' if below else 'below'} {bound:g}"
            + (", such as 0.1 for 10 %." if is_fraction and not below else "."),
        )

    def _bounds(self) -> tuple[float | None, float | None]:
        """Return the least and the largest number that is compared with the thresholds."""
        of = self.measure_name.definition.range
        if self.comparison is not Comparison.ABSOLUTE:
            return of.lowest, of.highest
        if of.lowest is None or of.highest is None:
            return 0.0, None
        return 0.0, max(abs(of.lowest), abs(of.highest))

    @property
    def warnings(self) -> tuple[LimitWarning, ...]:
        """What is probably not meant: thresholds that every ordinary book passes, or no such book.

        The limit is valid: a threshold that every book passes is a kill switch.
        """
        return tuple(self._warnings())

    def _warnings(self) -> Iterator[LimitWarning]:
        of = self.measure_name.definition.range
        for name, threshold in self.thresholds.items():
            effect = "warns about" if name == "warn" else "rejects"
            if self._is_always_passed(threshold):
                yield LimitWarning(
                    kind=WarningKind.ALWAYS_FIRES,
                    limit=self.id,
                    field=name,
                    message=f"{name} {threshold:g} {effect} every ordinary portfolio to which the "
                    "limit applies, as a kill switch does.",
                )
            elif (
                self.comparison is not Comparison.BELOW
                and of.ordinary_highest is not None
                and threshold >= of.ordinary_highest
            ):
                yield LimitWarning(
                    kind=WarningKind.HARDLY_FIRES,
                    limit=self.id,
                    field=name,
                    message=f"{name} {threshold:g} means {threshold * 100:,.0f} %; for "
                    f"{threshold:g} % write {threshold / 100:g}.",
                )

    def _is_always_passed(self, threshold: float) -> bool:
        lowest, highest = self._bounds()
        if self.comparison is Comparison.BELOW:
            return highest is not None and threshold > highest
        ordinary = self.measure_name.definition.range.ordinary_lowest
        return (lowest is not None and threshold < lowest) or (
            ordinary is not None and threshold <= ordinary
        )

    def _check_order(self) -> None:
        if self.warn is None or self.hard is None:
            return
        below = self.comparison is Comparison.BELOW
        ordered = self.warn >= self.hard if below else self.warn <= self.hard
        if not ordered:
            raise InvalidLimitError(
                f"warn {self.warn:g} is beyond hard {self.hard:g}, so it never warns.",
                field="warn",
                remedy=f"Give a warn of at {'least' if below else 'most'} {self.hard:g}.",
            )

    def applies(self, portfolio_id: str, tags: Mapping[str, str]) -> bool:
        """Whether this limit applies to a portfolio with this id and these tags."""
        return all(
            (portfolio_id if key == PORTFOLIO_ID_TAG else tags.get(key)) in values
            for key, values in self.applies_to.items()
        )


def _scope(applies_to: object) -> dict[str, tuple[str, ...]]:
    given = require_mapping(applies_to, "applies_to", InvalidLimitError)
    for key in given:
        if not isinstance(key, str):
            raise InvalidLimitError(
                f"{key!r} is not a tag: expected text.",
                field=f"applies_to[{key!r}]",
                remedy="Give the tag as text.",
            )
    return {key: _values(key, value) for key, value in sorted(given.items())}


def _values(key: str, value: str | Sequence[str]) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value
    if (
        not isinstance(values, list | tuple)
        or not values
        or not all(isinstance(item, str) for item in values)
    ):
        raise InvalidLimitError(
            f"Invalid value {value!r} of tag {key!r}: expected text, or a list of texts.",
            field=f"applies_to[{key!r}]",
            remedy="Give one value or more.",
        )
    return tuple(values)


def _scope_text(scope: Mapping[str, tuple[str, ...]]) -> str:
    if not scope:
        return ""
    return "[" + ",".join(f"{key}={'|'.join(values)}" for key, values in scope.items()) + "]"


@dataclass(frozen=True)
class LimitSet:
    """Limits that are published and evaluated together.

    `unmatched` is the decision on a portfolio with which no limit was compared, because none
    applies to it or all that apply were skipped: "none" or "reject".

    Raises `InvalidLimitError` with the field, also for two limits with one id.
    """

    id: str
    limits: Sequence[Limit]
    unmatched: str = field(default=Unmatched.NONE, kw_only=True)

    def __post_init__(self) -> None:
        require_name(self.id, "id", InvalidLimitError)
        unmatched = require_choice(self.unmatched, Unmatched, "unmatched", InvalidLimitError)
        object.__setattr__(self, "unmatched", unmatched)
        if not isinstance(self.limits, Iterable):
            raise InvalidLimitError(
                f"{self.limits!r} is not a list of limits.",
                field="limits",
                remedy="Give a list of Limit objects.",
            )
        object.__setattr__(self, "limits", tuple(self.limits))
        seen: set[str] = set()
        for index, limit in enumerate(self.limits):
            if not isinstance(limit, Limit):
                raise InvalidLimitError(
                    f"{limit!r} is not a Limit.",
                    field=f"limits[{index}]",
                    remedy="Give a list of Limit objects.",
                )
            if limit.id in seen:
                raise InvalidLimitError(
                    f"Two limits have the id {limit.id!r}.",
                    field=f"limits[{index}].id",
                    remedy="Give each limit a different id.",
                )
            seen.add(limit.id)

    @property
    def unmatched_id(self) -> str:
        """The id of the set among limits: in `not_evaluated` and in limit states."""
        return f"limit_set:{self.id}"

    def applying(self, portfolio_id: str, tags: Mapping[str, str]) -> list[Limit]:
        """Return the limits that apply to a portfolio with this id and these tags."""
        return [limit for limit in self.limits if limit.applies(portfolio_id, tags)]

    def require_scopes_of_portfolios(
        self,
        instruments: Container[str],
        instrument_tags: Iterable[str],
        portfolio_tags: Container[str],
    ) -> None:
        """Raise `InvalidLimitError` for a scope that selects instruments.

        `instruments` are those of the market, and `instrument_tags` the tags that its instruments
        carry, in any case. Limits apply to portfolios: such a scope would match none, unless its
        tag is in `portfolio_tags`, the tags that portfolios carry.
        """
        carried = {"instrument", *(tag.casefold() for tag in instrument_tags)}
        for index, limit in enumerate(self.limits):
            for tag, values in limit.applies_to.items():
                if tag == PORTFOLIO_ID_TAG or tag in portfolio_tags:
                    continue
                named = next((value for value in values if value in instruments), None)
                if tag.casefold() in carried:
                    found = f"{tag!r} selects instruments of the market"
                elif named is not None:
                    found = f"{named!r} is an instrument of the market"
                else:
                    continue
                raise InvalidLimitError(
                    f"{limit.id} applies to no portfolio: {found}, and a limit applies to "
                    "portfolios by their own tags.",
                    field=f"limits[{index}].applies_to[{tag!r}]",
                    remedy="Give a tag of portfolios. If portfolios carry this one, say so: "
                    f"tags=[{tag!r}], --tag {tag}, or ?tags={tag} over HTTP.",
                )

    @property
    def warnings(self) -> tuple[LimitWarning, ...]:
        """What is probably not meant in the limits, in their order."""
        return tuple(one for limit in self.limits for one in limit.warnings)

    @cached_property
    def version(self) -> str:
        """SHA-256 of the content: equal limit sets have equal versions."""
        rows = [
            {**limit_document(limit), "applies_to": sorted(limit.applies_to.items())}
            for limit in self.limits
        ]
        # Defaults add nothing, so that a set keeps the version that it had without the choices.
        for row in rows:
            if row["short_window"] == ShortWindow.WARN:
                del row["short_window"]
        others = [] if self.unmatched is Unmatched.NONE else [{"unmatched": self.unmatched}]
        content = json.dumps([self.id, rows, *others], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def limit_document(limit: Limit) -> dict[str, object]:
    """Return `limit` as plain values, with the keys of a limits file."""
    return {
        "id": limit.id,
        "measure": limit.measure,
        "warn": limit.warn,
        "hard": limit.hard,
        "applies_to": {key: list(values) for key, values in limit.applies_to.items()},
        "missing_data": str(limit.missing_data),
        "comparison": str(limit.comparison),
        "short_window": str(limit.short_window),
    }
