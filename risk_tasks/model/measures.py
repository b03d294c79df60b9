"""Names of measures in requests, and the settings that measures share.

A measure is requested as `name`, `name@confidence` (`value_at_risk@0.95`) or `name:ITEM`
(`stress_loss:crash-2020`). A name without a confidence takes it from `MeasureSettings`.

Confidence is decimal text, and the ranks of quantiles are computed from fractions: binary floating
point puts (1 - 0.95) * 100 on the wrong side of 5, which moves a VaR by a whole scenario. Source:
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
from risk_tasks.model.values import as_finite, is_name

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
    readable = isinstance(exponent, int) and exponent >= -_MAX_DIGITS
    if not readable or not 0 < number < 1:
        raise InvalidSettingsError(
            f"{value!r} is not a confidence.",
            field=field,
            remedy=f"Give a number between 0 and 1 of up to {_MAX_DIGITS} digits, such as 0.99.",
        )
    return format(number.normalize(), "f")


#: every block looks up the same few values
_remembered = lru_cache(maxsize=4096)


@_remembered
def tail_probability(confidence: str) -> Fraction:
    """Return alpha = 1 - confidence, exactly."""
    return 1 - Fraction(confidence)


@_remembered
def min_observations(confidence: str) -> int:
    """Return the shortest window that reaches the tail: ceil(1 / alpha)."""
    return ceil(1 / tail_probability(confidence))


@_remembered
def tail_rank(n_observations: int, confidence: str) -> int:
    """Return k = max(1, ceil(n * alpha)): how many worst outcomes an expected shortfall reads."""
    return max(1, ceil(n_observations * tail_probability(confidence)))


@_remembered
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
    """In how many bits the past returns are read; everything else is float64 always."""

    FLOAT64 = "float64"
    #: half the memory to read; `docs/reference/measures.md` says how far numbers may be off
    FLOAT32 = "float32"


class HorizonRule(StrEnum):
    """How the risk of several days is computed from one-day returns."""

    #: that of one day times the square root of time
    SQRT_TIME = "sqrt_time"
    #: the risk of the sums of the P&L of consecutive days, from overlapping windows
    OVERLAPPING = "overlapping"


class Distribution(StrEnum):
    """What the paths of the Monte Carlo measures are drawn from; both have the same covariance."""

    NORMAL = "normal"
    #: fatter tails, of which `degrees_of_freedom` decides
    STUDENT = "student"


#: settings that are whole numbers, with the least, the largest and the step
_WHOLE_NUMBERS = (
    ("horizon_days", 1, 1_000, 1),
    # Paths come in pairs, one the mirror of the other.
    ("n_paths", 1_000, 1_000_000, 2),
    ("seed", 0, 2**63 - 1, 1),
)

#: settings that are one of several words
_WORDS: tuple[tuple[str, type[StrEnum], str], ...] = (
    ("var_convention", VarConvention, "VaR convention"),
    ("precision", Precision, "precision"),
    ("horizon_rule", HorizonRule, "horizon rule"),
    ("distribution", Distribution, "distribution"),
)

#: settings that are numbers, with what they may hold
_NUMBERS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("degrees_of_freedom", lambda number: number > 2, "Give a number above 2, such as 5."),
    ("decay", lambda number: 0 < number < 1, "Give a number between 0 and 1, such as 0.94."),
    ("age_decay", lambda number: 0 < number <= 1, "Give a number above 0, up to 1."),
)


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """The parameters of measures that their names do not give.

    `confidence` is decimal text, a Decimal, or a float that is read through its text.
    `horizon_days`, 1 to 1000, scales one-day risk by the square root of time, unless
    `horizon_rule` sums the P&L of consecutive days.
    `degrees_of_freedom`, above 2, are those of the Student measures. `decay`, between 0 and 1, is
    what the weight of a squared outcome is multiplied by from one day to the day before;
    `age_decay`, above 0 and at most 1, the same for the outcomes of the age-weighted VaR.
    `n_paths`, even and 1,000 to 1,000,000, `seed`, 0 to 2**63 - 1, and `distribution` are those of
    the Monte Carlo measures. Raises `InvalidSettingsError` naming the field.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "confidence", parse_confidence(self.confidence))
        for place, least, largest, step in _WHOLE_NUMBERS:
            _check_whole(getattr(self, place), place, least, largest, step)
        for place, fits, remedy in _NUMBERS:
            given = getattr(self, place)
            number = as_finite(given)
            if number is None or not fits(number):
                raise InvalidSettingsError(f"{given!r} does not fit.", field=place, remedy=remedy)
            object.__setattr__(self, place, number)
        for place, kind, what in _WORDS:
            given = getattr(self, place)
            try:
                object.__setattr__(self, place, kind(given))
            except ValueError:
                raise InvalidSettingsError(
                    f"{given!r} is not a {what}.",
                    field=place,
                    remedy=f"Choose one of {', '.join(kind)}.",
                ) from None

    @property
    def outcome_days(self) -> int:
        """Over how many days each past outcome is summed."""
        return self.horizon_days if self.horizon_rule is HorizonRule.OVERLAPPING else 1


def _check_whole(given: object, field: str, least: int, largest: int, step: int) -> None:
    whole = isinstance(given, int) and not isinstance(given, bool)
    if not whole or not least <= given <= largest or given % step:  # type: ignore[operator]
        kind = "an even number" if step == 2 else "a whole number"
        raise InvalidSettingsError(
            f"{given!r} does not fit.", field=field, remedy=f"Give {kind}, {least} to {largest}."
        )


@dataclass(frozen=True, slots=True)
class MeasureName:
    """One requested measure with its qualifier."""

    name: str
    confidence: str | None = None
    #: a scenario or an instrument, as the measure may be qualified by
    item: str | None = None
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Columns are looked up by name some hundred times a check.
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
        """Read `name`, `name@confidence` or `name:scenario`.

        Raises `UnknownMeasureError` with the nearest names, or `InvalidSettingsError` for a
        confidence that is not valid.
        """
        if not isinstance(text, str):
            raise UnknownMeasureError(f"{text!r} is not the name of a measure.", field=field)
        head, mark, item = _split(text)
        definition = MEASURES.get(head)
        if definition is None:
            raise UnknownMeasureError(f"{text!r} is not a measure.{_nearest(head)}", field=field)
        allowed = definition.qualifier
        if mark == "@" and allowed is Qualifier.CONFIDENCE:
            return cls(head, confidence=parse_confidence(item, field=field))
        if mark == ":" and is_name(item) and allowed in _BY_ITEM:
            return cls(head, item=item)
        if mark or allowed in _BY_ITEM:
            raise UnknownMeasureError(
                f"{text!r} is not qualified as {head} may be.",
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
    """Return the requested measures in order, without repeats; None is the standard set."""
    if names is None:
        return _standard_set()
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UnknownMeasureError(
            f"{names!r} is not a list of names.", field="measures", remedy="['value_at_risk']"
        )
    return tuple(dict.fromkeys(MeasureName.parse(name) for name in names))


@cache
def _standard_set() -> tuple[MeasureName, ...]:
    return tuple(map(MeasureName.parse, STANDARD_MEASURES))
