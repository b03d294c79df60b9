"""The names of measures in requests, and the settings that all measures share.

A measure is requested as `name`, `name@confidence` (`value_at_risk@0.95`) or `name:ITEM`
(`stress_loss:crash-2020`). If the name has no confidence, `MeasureSettings` gives it.

Confidence is decimal text, and ranks of quantiles are computed from fractions. In binary floating
point (1 - 0.95) * 100 is above 5, which moves a VaR by one observation. Source:
`docs/reference/measures.md`, "Conventions"; Hull, Options, Futures and Other Derivatives, ch. 22.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from functools import cache, lru_cache
from math import ceil, floor

from risk_tasks.errors import InvalidSettingsError, UnknownMeasureError
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES, MeasureDefinition, Qualifier
from risk_tasks.model.values import as_finite, is_name, require_choice, require_whole

_MAX_DIGITS = 20


class VarConvention(StrEnum):
    """Which order statistic of n outcomes a historical value-at-risk is."""

    #: the k-th worst with k = ceil(n * alpha); Hull, ORE, Riskfolio, QuantLib
    CONSERVATIVE = "conservative"
    #: the k-th worst with k = floor(n * alpha) + 1; McNeil-Frey-Embrechts, skfolio, Strata
    LOSS_QUANTILE = "loss_quantile"
    #: interpolated between order statistics at (n - 1) * alpha; numpy's default, empyrical, pandas
    LINEAR = "linear"


def parse_confidence(value: str | float | Decimal, *, field: str = "confidence") -> str:
    """Return `value` as canonical decimal text ("0.99"); it lies strictly between 0 and 1."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    short_enough = isinstance(exponent, int) and exponent >= -_MAX_DIGITS
    if not short_enough or not 0 < number < 1:
        raise InvalidSettingsError(
            f"Invalid confidence {value!r}: expected a number between 0 and 1.",
            field=field,
            remedy=f"Use at most {_MAX_DIGITS} decimal places, such as 0.99.",
        )
    return format(number.normalize(), "f")


#: blocks use few different values
_cached = lru_cache(maxsize=4096)


@_cached
def tail_probability(confidence: str) -> Fraction:
    """Return alpha = 1 - confidence, exactly."""
    return 1 - Fraction(confidence)


@_cached
def min_observations(confidence: str) -> int:
    """Return the fewest observations with one in the tail: ceil(1 / alpha)."""
    return ceil(1 / tail_probability(confidence))


@_cached
def tail_rank(n_observations: int, confidence: str) -> int:
    """Return k = max(1, ceil(n * alpha)): the worst outcomes of an expected shortfall."""
    return max(1, ceil(n_observations * tail_probability(confidence)))


@_cached
def var_position(n_observations: int, confidence: str, convention: VarConvention) -> Fraction:
    """Return the index of the VaR among the worst outcomes, counted from 0.

    A whole number is an order statistic; between two, the VaR is interpolated (LINEAR only).
    """
    convention = VarConvention(convention)
    alpha = tail_probability(confidence)
    if convention is VarConvention.CONSERVATIVE:
        return Fraction(tail_rank(n_observations, confidence) - 1)
    if convention is VarConvention.LOSS_QUANTILE:
        return Fraction(floor(n_observations * alpha))
    return (n_observations - 1) * alpha


class Precision(StrEnum):
    """The type of the past returns; everything else is always float64."""

    FLOAT64 = "float64"
    #: half the memory; `docs/reference/measures.md` gives the largest error
    FLOAT32 = "float32"


class HorizonRule(StrEnum):
    """How a risk over several days follows from one-day returns."""

    #: the risk of one day times the square root of time
    SQRT_TIME = "sqrt_time"
    #: the risk of the sums of the P&L of consecutive days, from overlapping windows
    OVERLAPPING = "overlapping"


class History(StrEnum):
    """What the past outcomes of a portfolio with young instruments are."""

    #: the days on which all positions have a return
    COMMON = "common"
    #: also earlier days: the P&L of the positions that have started, scaled by gross exposure
    PER_INSTRUMENT = "per_instrument"


class Distribution(StrEnum):
    """The distribution of the Monte Carlo paths; both have the same covariance."""

    NORMAL = "normal"
    #: Student-t, with fatter tails for fewer `degrees_of_freedom`
    STUDENT = "student"


#: integer settings: the least, the largest and the step
_WHOLE_NUMBERS = (
    ("horizon_days", 1, 1_000, 1),
    # Paths are drawn in antithetic pairs.
    ("n_paths", 1_000, 1_000_000, 2),
    ("seed", 0, 2**63 - 1, 1),
)

#: settings with a fixed choice of values
_CHOICES: tuple[tuple[str, type[StrEnum]], ...] = (
    ("var_convention", VarConvention),
    ("precision", Precision),
    ("horizon_rule", HorizonRule),
    ("distribution", Distribution),
    ("history", History),
)

#: float settings: the valid range, the range in words, and an example
_NUMBERS: tuple[tuple[str, Callable[[float], bool], str, str], ...] = (
    ("degrees_of_freedom", lambda number: number > 2, "a number above 2", "5"),
    ("decay", lambda number: 0 < number < 1, "a number between 0 and 1", "0.94"),
    ("age_decay", lambda number: 0 < number <= 1, "a number above 0 and at most 1", "0.98"),
)


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """The settings of measures that are not part of their names.

    `confidence` is decimal text, a Decimal, or a float, which is converted to text first.
    `horizon_days`, 1 to 1000, scales one-day risk by the square root of time, unless
    `horizon_rule` sums the P&L of consecutive days.
    `degrees_of_freedom`, above 2, are for the Student-t measures. `decay`, between 0 and 1, is the
    weight of a squared outcome relative to that of the next day; `age_decay`, above 0 and at most
    1, is the same for the age-weighted VaR. The Monte Carlo measures use `n_paths`, even and 1,000
    to 1,000,000, `seed`, 0 to 2**63 - 1, and `distribution`. `history` decides on the days before
    the first return of a young instrument.

    Raises `InvalidSettingsError` with the field.
    """

    confidence: str | float | Decimal = "0.99"
    horizon_days: int = 1
    var_convention: str = VarConvention.CONSERVATIVE
    precision: str = Precision.FLOAT64
    degrees_of_freedom: float = 5.0
    decay: float = 0.94
    age_decay: float = 0.98
    horizon_rule: str = HorizonRule.SQRT_TIME
    n_paths: int = 10_000
    seed: int = 0
    distribution: str = Distribution.NORMAL
    history: str = History.COMMON

    def __post_init__(self) -> None:
        object.__setattr__(self, "confidence", parse_confidence(self.confidence))
        for name, least, largest, step in _WHOLE_NUMBERS:
            given = getattr(self, name)
            require_whole(
                given, name, InvalidSettingsError, least=least, largest=largest, step=step
            )
        for name, is_valid, expected, example in _NUMBERS:
            given = getattr(self, name)
            number = as_finite(given)
            if number is None or not is_valid(number):
                raise InvalidSettingsError(
                    f"Invalid {name} {given!r}: expected {expected}.",
                    field=name,
                    remedy=f"Give a finite number, such as {example}.",
                )
            object.__setattr__(self, name, number)
        for name, kind in _CHOICES:
            choice = require_choice(getattr(self, name), kind, name, InvalidSettingsError)
            object.__setattr__(self, name, choice)

    @property
    def outcome_days(self) -> int:
        """The number of days that each past outcome sums."""
        return self.horizon_days if self.horizon_rule is HorizonRule.OVERLAPPING else 1


@dataclass(frozen=True, slots=True)
class MeasureName:
    """A requested measure with its qualifier."""

    name: str
    confidence: str | None = None
    #: the scenario or the instrument after the colon
    item: str | None = None
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # A check looks up columns by name about a hundred times.
        object.__setattr__(self, "_hash", hash((self.name, self.confidence, self.item)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def definition(self) -> MeasureDefinition:
        return MEASURES[self.name]

    def __str__(self) -> str:
        if self.confidence is not None:
            return f"{self.name}@{self.confidence}"
        if self.item is not None:
            return f"{self.name}:{self.item}"
        return self.name

    @classmethod
    def parse(cls, text: str, *, field: str = "measures") -> MeasureName:
        """Parse `name`, `name@confidence` or `name:ITEM`.

        Raises `UnknownMeasureError` with the nearest names, or `InvalidSettingsError` for an
        invalid confidence.
        """
        if not isinstance(text, str):
            raise UnknownMeasureError(
                f"{text!r} is not a measure name: expected text.", field=field
            )
        head, mark, item = _split(text)
        definition = MEASURES.get(head)
        if definition is None:
            raise UnknownMeasureError(f"Unknown measure {text!r}.{_nearest(head)}", field=field)
        allowed = definition.qualifier
        if mark == "@" and allowed is Qualifier.CONFIDENCE:
            return cls(head, confidence=parse_confidence(item, field=field))
        if mark == ":" and is_name(item) and allowed in _BY_ITEM:
            return cls(head, item=item)
        if mark or allowed in _BY_ITEM:
            raise UnknownMeasureError(
                f"{text!r} does not have the form that {head} requires.",
                field=field,
                remedy=_SPELLING[allowed].format(head),
            )
        return cls(head)


_BY_ITEM = frozenset({Qualifier.SCENARIO, Qualifier.INSTRUMENT})

_SPELLING = {
    Qualifier.NONE: "Write it as {0}.",
    Qualifier.CONFIDENCE: "Write it as {0} or {0}@0.95.",
    Qualifier.SCENARIO: "Write it as {0}:NAME, with the name of a scenario.",
    Qualifier.INSTRUMENT: "Write it as {0}:INSTRUMENT, such as {0}:AAPL.",
}


def _split(text: str) -> tuple[str, str, str]:
    at, colon = text.find("@"), text.find(":")
    mark = "@" if at >= 0 and (colon < 0 or at < colon) else ":"
    return text.partition(mark)


def _nearest(name: str) -> str:
    names = difflib.get_close_matches(name, MEASURES, n=3)
    return f" Nearest: {', '.join(names)}." if names else ""


def parse_measures(names: Iterable[str] | None) -> tuple[MeasureName, ...]:
    """Return the requested measures in order, without duplicates; None means the standard set."""
    if names is None:
        return _standard_set()
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UnknownMeasureError(
            f"{names!r} is not a list of measure names.",
            field="measures",
            remedy="Give a list, such as ['value_at_risk'].",
        )
    return tuple(dict.fromkeys(MeasureName.parse(name) for name in names))


@cache
def _standard_set() -> tuple[MeasureName, ...]:
    return tuple(map(MeasureName.parse, STANDARD_MEASURES))
