"""What is known of a measure before it is computed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    INSTRUMENT = "instrument"


#: for which the costs of measures of random paths stand here
REGISTRY_PATHS = 10_000
#: what a look-up in the result cache may cost, microseconds a check: four times that of one on the
#: server (`python -m benchmarks cache`), for keeping the result and for a server further away
LOOK_UP_US = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureDefinition:
    """What is known of a measure before it is computed."""

    name: str
    summary: str
    formula: str
    unit: Unit
    #: what a positive number means
    sign: str
    #: reasons for which there may be no number, and when
    gaps: str = ""
    source: str
    #: microseconds for one check of 20 positions over 1,000 observations in a block of 1,000
    cost_us: float
    qualifier: Qualifier = Qualifier.NONE
    #: whether `cost_us` is that of `REGISTRY_PATHS`, and grows with them
    by_path: bool = False

    def cost_of(self, n_paths: int) -> float:
        """Return `cost_us` over so many paths, where it is a measure of random paths."""
        return self.cost_us * n_paths / REGISTRY_PATHS if self.by_path else self.cost_us

    def is_looked_up(self, n_paths: int) -> bool:
        """Whether computing it costs more than looking it up in the result cache."""
        return self.cost_of(n_paths) > LOOK_UP_US

    @property
    def spelling(self) -> str:
        """How it is asked for, with what may follow in brackets."""
        return self.name + _SUFFIX[self.qualifier]


_SUFFIX = {
    Qualifier.NONE: "",
    Qualifier.CONFIDENCE: "[@0.95]",
    Qualifier.SCENARIO: ":NAME",
    Qualifier.INSTRUMENT: ":INSTRUMENT",
}
