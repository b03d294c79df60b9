"""Findings about the data behind a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

#: the largest number of instruments that a report or a page names for one kind of finding
MOST_NAMED = 10


class FindingKind(StrEnum):
    """What was found in the data; messages and tables contain the text."""

    #: too few of the past outcomes that the portfolio should have
    SHORT_WINDOW = "short_window"
    #: outcomes before the first return of the instrument are those of the other positions, scaled
    SCALED = "scaled"
    #: returns before the first price are those of a proxy
    PROXIED = "proxied"
    #: a price changes by a factor that looks like a split, a change of unit or a wrong price
    JUMP = "jump"
    #: equal prices in a row
    CONSTANT = "constant"
    #: prices repeated more often than their smallest step explains, as if they had been filled
    REPEATED = "repeated"
    #: the last price is equal to many before it
    STALE_PRICE = "stale_price"
    #: all returns are equal
    ZERO_VARIANCE = "zero_variance"
    #: a missing price on a date on which others with the same calendar have one
    GAP = "gap"
    #: returns that span too many calendar days are left out
    DROPPED_ROWS = "dropped_rows"
    #: the last row has no price: that of an earlier row is used
    MISSING_LAST_PRICE = "missing_last_price"
    #: the first return is late in the window
    SHORT_HISTORY = "short_history"
    #: a price of zero or less, over which a relative return has no meaning
    PRICE_NOT_ABOVE_ZERO = "price_not_above_zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFinding:
    """One finding: its kind, the instrument that it concerns, and what was found, in words.

    `instrument` is None if the finding concerns the whole portfolio.
    """

    kind: str
    instrument: str | None = None
    detail: str = ""

    def __str__(self) -> str:
        """Return `kind` or `kind:INSTRUMENT`."""
        return self.kind if self.instrument is None else f"{self.kind}:{self.instrument}"


def bounded(findings: Iterable[DataFinding]) -> tuple[DataFinding, ...]:
    """Return the first findings of each kind, and for the rest one finding with their number."""
    counts: Counter[str] = Counter()
    shown = []
    for finding in findings:
        counts[finding.kind] += 1
        if counts[finding.kind] <= MOST_NAMED:
            shown.append(finding)
    for kind, n in counts.items():
        if n > MOST_NAMED:
            shown.append(DataFinding(kind=kind, detail=f"and {n - MOST_NAMED} more instruments"))
    return tuple(shown)
