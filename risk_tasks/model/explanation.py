"""How near a portfolio is to its limits, and how much room they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """A limit that applies and could be told, broken or not."""

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
    """What a report holds besides where it was asked to explain."""

    #: in the order of the limits
    limits: Sequence[LimitUse] = ()
    #: by position, in the order of the portfolio
    headroom: Sequence[Headroom] = ()
    #: ids of hard limits that the headroom takes no account of: their measure has no method, or
    #: could not be told
    not_bounded: Sequence[str] = ()
