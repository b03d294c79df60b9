"""P&L of a portfolio, by observation or under one scenario."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

Position = tuple[int, float]
# Returns by instrument, then by observation; None and NaN are missing.
Panel = Sequence[Sequence[Any]]


def is_missing(value: float | None) -> bool:
    """A missing return: None or NaN."""
    return value is None or math.isnan(value)


def held(positions: Sequence[Position]) -> list[Position]:
    """The positions whose value is not exactly 0."""
    return [(instrument, value) for instrument, value in positions if value != 0]


def profit_and_loss(positions: Sequence[Position], panel: Panel, n_observations: int) -> list[Any]:
    """P&L by observation: p_t = sum V_i r_ti; None where a held instrument's return is missing."""
    result: list[Any] = []
    for t in range(n_observations):
        terms = [(value, panel[instrument][t]) for instrument, value in held(positions)]
        if any(is_missing(step) for _, step in terms):
            result.append(None)
        else:
            result.append(math.fsum(value * step for value, step in terms))
    return result


def over_days(steps: Sequence[Any], days: int) -> list[Any]:
    """x_t + ... + x_(t+h-1) for each t with h values left; NaN if one is missing."""
    windows = [steps[t : t + days] for t in range(len(steps) - days + 1)]
    return [math.nan if any(map(is_missing, w)) else math.fsum(w) for w in windows]


def observed(positions: Sequence[Position], panel: Panel, n_observations: int) -> list[int]:
    """The observations at which no held instrument's return is missing, in order."""
    pnl = profit_and_loss(positions, panel, n_observations)
    return [t for t in range(n_observations) if pnl[t] is not None]


def stress_loss(
    positions: Sequence[Position], shocks: Mapping[int, float], others: float | None
) -> float | None:
    """Loss under shocks: -sum V_i s_i; `others` is the shock of the others, None if undefined."""
    terms = []
    for instrument, value in held(positions):
        shock = shocks.get(instrument, others)
        if shock is None or math.isnan(shock):
            return None
        terms.append(-value * shock)
    return math.fsum(terms)


def change_of(
    name: str, carried: Mapping[str, str], scenario: Mapping[str, Any]
) -> tuple[str, float] | None:
    """The change of an instrument: by its name, else by its tag, else that of the others.

    `scenario` has the fields of a scenario; the change is ("relative", fraction) or ("absolute",
    amount per unit); None if there is none.
    """
    if name in scenario["shocks"]:
        return "relative", scenario["shocks"][name]
    if name in scenario["moves"]:
        return "absolute", scenario["moves"][name]
    for tag, value in carried.items():
        if value in scenario["by_tag"].get(tag, {}):
            return "relative", scenario["by_tag"][tag][value]
    return None if scenario["others"] is None else ("relative", scenario["others"])


def window_return(
    returns: Sequence[float], dates: Sequence[date], start: date, end: date
) -> float | None:
    """Compounded return of one instrument, prod (1 + r_t) - 1 over start <= date_t <= end.

    None where the dates do not reach from start to end, no date is within, or a return within is
    missing.
    """
    within = [r for r, day in zip(returns, dates, strict=True) if start <= day <= end]
    if not within or min(dates) > start or max(dates) < end or any(map(is_missing, within)):
        return None
    return math.prod(1 + r for r in within) - 1


def coverage(positions: Sequence[Position], covered: Container[int]) -> Fraction:
    """Share of gross exposure in covered instruments; 1 for an empty book."""
    gross = sum((Fraction(abs(value)) for _, value in positions), Fraction(0))
    known = sum((Fraction(abs(value)) for i, value in positions if i in covered), Fraction(0))
    return known / gross if gross else Fraction(1)


def loss_of_changes(
    lots: Sequence[tuple[int, float, float]], changes: Mapping[int, tuple[str, float] | None]
) -> float | None:
    """Loss of (instrument, quantity, price): -q p s for a relative change, -q m for an absolute.

    None where a lot that matters has no change: one of a quantity of 0 does not, and neither does
    one of a price of 0, unless its instrument moves by an amount.
    """
    terms = []
    for instrument, quantity, price in lots:
        change = changes[instrument]
        if quantity == 0 or (quantity * price == 0 and (change is None or change[0] == "relative")):
            continue
        if change is None:
            return None
        kind, by = change
        terms.append(-(quantity * price) * by if kind == "relative" else -quantity * by)
    return math.fsum(terms)
