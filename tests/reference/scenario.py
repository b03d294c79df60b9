"""What a portfolio would gain or lose, observation by observation or under one shock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Position = tuple[int, float]
# Returns by instrument, then by observation; None and NaN are missing.
Panel = Sequence[Sequence[Any]]


def is_missing(value: float | None) -> bool:
    """A return that is not there: None or NaN."""
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
    """x_t + ... + x_(t+h-1) for each t with so many left; NaN where one is missing."""
    windows = [steps[t : t + days] for t in range(len(steps) - days + 1)]
    return [math.nan if any(map(is_missing, w)) else math.fsum(w) for w in windows]


def observed(positions: Sequence[Position], panel: Panel, n_observations: int) -> list[int]:
    """The observations at which no held instrument's return is missing, in order."""
    pnl = profit_and_loss(positions, panel, n_observations)
    return [t for t in range(n_observations) if pnl[t] is not None]


def stress_loss(
    positions: Sequence[Position], shocks: Mapping[int, float], others: float | None
) -> float | None:
    """Loss under shocks: -sum V_i s_i; `others` is the shock of the rest, None: undefined."""
    terms = []
    for instrument, value in held(positions):
        shock = shocks.get(instrument, others)
        if shock is None or math.isnan(shock):
            return None
        terms.append(-value * shock)
    return math.fsum(terms)
