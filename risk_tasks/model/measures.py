"""The registry of measures, how one is named in a request, and the settings that they share.

A measure is asked for as `name`, `name@confidence` (`value_at_risk@0.95`) or `name:ITEM`
(`stress_loss:crash-2020`). An unqualified name takes its confidence from `MeasureSettings`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from risk_tasks.errors import InvalidSettingsError, UnknownMeasureError
from risk_tasks.model.confidence import VarConvention, parse_confidence
from risk_tasks.model.name import is_name


class Unit(StrEnum):
    """What a measure is counted in."""

    #: the portfolio's base currency
    CURRENCY = "ccy"
    #: a share of the whole, 0.25 being a quarter
    FRACTION = "fraction"
    #: so many times the net asset value
    RATIO = "ratio"


class Qualifier(StrEnum):
    """What may follow the name of a measure."""

    NONE = "none"
    CONFIDENCE = "confidence"
    SCENARIO = "scenario"


class Precision(StrEnum):
    """In how many bits the past returns are read; everything else is float64 always."""

    FLOAT64 = "float64"
    #: half the memory to read; `docs/measures.md` says how far numbers may be off
    FLOAT32 = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureDefinition:
    """What is known of a measure before it is computed."""

    name: str
    summary: str
    formula: str
    unit: Unit
    #: what a positive number means
    sign: str
    source: str
    #: microseconds for one check of 20 positions over 1,000 observations in a block of 1,000
    cost_us: float
    qualifier: Qualifier = Qualifier.NONE


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """What unqualified measures are computed with.

    `confidence` is decimal text, a Decimal, or a float that is read through its text.
    `horizon_days`, 1 to 1000, scales one-day risk by the square root of time. Raises
    `InvalidSettingsError` naming the field.
    """

    confidence: str | float | Decimal = "0.99"
    horizon_days: int = 1
    var_convention: str = VarConvention.CONSERVATIVE
    precision: str = Precision.FLOAT64

    def __post_init__(self) -> None:
        object.__setattr__(self, "confidence", parse_confidence(self.confidence))
        if isinstance(self.horizon_days, bool) or not isinstance(self.horizon_days, int):
            raise InvalidSettingsError("The horizon is a whole number.", field="horizon_days")
        if not 1 <= self.horizon_days <= 1_000:
            raise InvalidSettingsError("The horizon is 1 to 1000 days.", field="horizon_days")
        for field, kind, what in (
            ("var_convention", VarConvention, "VaR convention"),
            ("precision", Precision, "precision"),
        ):
            given = getattr(self, field)
            try:
                object.__setattr__(self, field, kind(given))
            except ValueError:
                raise InvalidSettingsError(
                    f"{given!r} is not a {what}.",
                    field=field,
                    remedy=f"Choose one of {', '.join(kind)}.",
                ) from None


@dataclass(frozen=True, slots=True)
class MeasureName:
    """One measure as it was asked for, with what it was qualified by."""

    name: str
    confidence: str | None = None
    scenario: str | None = None

    @property
    def definition(self) -> MeasureDefinition:
        return MEASURES[self.name]

    def __str__(self) -> str:
        if self.confidence is not None:
            return f"{self.name}@{self.confidence}"
        if self.scenario is not None:
            return f"{self.name}:{self.scenario}"
        return self.name

    @classmethod
    def parse(cls, text: str, *, field: str = "measures") -> MeasureName:
        """Read `name`, `name@confidence` or `name:scenario`.

        Raises `UnknownMeasureError` with the nearest names, or `InvalidSettingsError` for a
        confidence that is none.
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
        if mark == ":" and is_name(item) and allowed is Qualifier.SCENARIO:
            return cls(head, scenario=item)
        if mark or allowed is Qualifier.SCENARIO:
            raise UnknownMeasureError(
                f"{text!r} is not qualified as {head} may be.",
                field=field,
                remedy=_SPELLING[allowed].format(head),
            )
        return cls(head)


_SPELLING = {
    Qualifier.NONE: "Write it as {0}.",
    Qualifier.CONFIDENCE: "Write it as {0} or {0}@0.95.",
    Qualifier.SCENARIO: "Write it as {0}:NAME, with the name of a scenario.",
}


def _split(text: str) -> tuple[str, str, str]:
    at, colon = text.find("@"), text.find(":")
    mark = "@" if at >= 0 and (colon < 0 or at < colon) else ":"
    return text.partition(mark)


def _nearest(name: str) -> str:
    names = difflib.get_close_matches(name, MEASURES, n=3)
    return f" Nearest: {', '.join(names)}." if names else ""


def parse_measures(names: Iterable[str] | None) -> tuple[MeasureName, ...]:
    """Read what was asked for; None is the standard set. Repeats are dropped, order is kept."""
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


_HULL = "Hull, Options, Futures and Other Derivatives, 10th ed., ch. 22"

MEASURES = MappingProxyType(
    {
        definition.name: definition
        for definition in (
            MeasureDefinition(
                name="market_value",
                summary="What the positions are worth",
                formula="sum of V, V = quantity x price",
                unit=Unit.CURRENCY,
                sign="long positive, short negative",
                source="definition",
                cost_us=0.2,
            ),
            MeasureDefinition(
                name="gross_exposure",
                summary="Long plus short exposure",
                formula="L + S",
                unit=Unit.CURRENCY,
                sign="never negative",
                source="definition",
                cost_us=0.1,
            ),
            MeasureDefinition(
                name="net_exposure",
                summary="Long less short exposure",
                formula="L - S",
                unit=Unit.CURRENCY,
                sign="net long positive",
                source="definition",
                cost_us=0.1,
            ),
            MeasureDefinition(
                name="long_exposure",
                summary="What is held long",
                formula="L = sum of max(V, 0)",
                unit=Unit.CURRENCY,
                sign="never negative",
                source="definition",
                cost_us=0.1,
            ),
            MeasureDefinition(
                name="short_exposure",
                summary="What is held short",
                formula="S = sum of max(-V, 0)",
                unit=Unit.CURRENCY,
                sign="never negative",
                source="definition",
                cost_us=0.1,
            ),
            MeasureDefinition(
                name="gross_leverage",
                summary="Gross exposure over net asset value",
                formula="(L + S) / NAV",
                unit=Unit.RATIO,
                sign="never negative; undefined for an unknown or non-positive NAV",
                source="definition",
                cost_us=0.2,
            ),
            MeasureDefinition(
                name="concentration",
                summary="The largest position's share of gross exposure",
                formula="max |V| / (L + S)",
                unit=Unit.FRACTION,
                sign="0 to 1; undefined for a book without exposure",
                source="definition",
                cost_us=0.2,
            ),
            MeasureDefinition(
                name="herfindahl",
                summary="Herfindahl-Hirschman index of the shares of gross exposure",
                formula="sum of (|V| / (L + S))^2",
                unit=Unit.FRACTION,
                sign="1/n to 1; undefined for a book without exposure",
                source="Hirschman, The Paternity of an Index, AER 54 (1964)",
                cost_us=0.2,
            ),
            MeasureDefinition(
                name="volatility",
                summary="Standard deviation of P&L over the horizon",
                formula="sd(P&L, ddof 1) x sqrt(h) = sqrt(V' Cov V) x sqrt(h)",
                unit=Unit.CURRENCY,
                sign="never negative",
                source=_HULL + ".4",
                cost_us=5.2,
            ),
            MeasureDefinition(
                name="value_at_risk",
                summary="Historical value-at-risk",
                formula="k-th worst P&L x sqrt(h), k = ceil(n (1 - c)) under `conservative`",
                unit=Unit.CURRENCY,
                sign="loss positive",
                source=_HULL + ".2",
                cost_us=5.8,
                qualifier=Qualifier.CONFIDENCE,
            ),
            MeasureDefinition(
                name="expected_shortfall",
                summary="Historical expected shortfall (coherent form)",
                formula="(sum of the k-1 worst + (n a - k + 1) x k-th worst) / (n a) x sqrt(h)",
                unit=Unit.CURRENCY,
                sign="loss positive, never below value_at_risk",
                source="Acerbi, Tasche, On the coherence of expected shortfall, JBF 26 (2002), §4",
                cost_us=5.9,
                qualifier=Qualifier.CONFIDENCE,
            ),
            MeasureDefinition(
                name="parametric_value_at_risk",
                summary="Normal value-at-risk with zero mean",
                formula="z(c) x volatility",
                unit=Unit.CURRENCY,
                sign="loss positive",
                source=_HULL + ".4",
                cost_us=5.3,
                qualifier=Qualifier.CONFIDENCE,
            ),
            MeasureDefinition(
                name="stress_loss",
                summary="Loss under a named scenario of relative price shocks",
                formula="-sum of V x shock",
                unit=Unit.CURRENCY,
                sign="loss positive",
                source="definition",
                cost_us=0.4,
                qualifier=Qualifier.SCENARIO,
            ),
        )
    }
)

#: what `measures=None` means; fixed for ever, whatever else is added
STANDARD_MEASURES = (
    "market_value",
    "gross_exposure",
    "net_exposure",
    "long_exposure",
    "short_exposure",
    "gross_leverage",
    "concentration",
    "herfindahl",
    "volatility",
    "value_at_risk",
    "expected_shortfall",
    "parametric_value_at_risk",
)
