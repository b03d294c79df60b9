"""Exposures and concentration: sums and shares of signed values, summed exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

Position = tuple[int, float]


def market_value(positions: Sequence[Position]) -> float:
    """Sum of the signed values: N = sum V_i."""
    return math.fsum(value for _, value in positions)


def long_exposure(positions: Sequence[Position]) -> float:
    """Value of long positions: L = sum max(V_i, 0)."""
    return math.fsum(value for _, value in positions if value > 0)


def short_exposure(positions: Sequence[Position]) -> float:
    """Magnitude of the value of short positions: S = sum max(-V_i, 0)."""
    return math.fsum(-value for _, value in positions if value < 0)


def gross_exposure(positions: Sequence[Position]) -> float:
    """Long plus short: G = L + S = sum |V_i|."""
    return math.fsum(abs(value) for _, value in positions)


def net_exposure(positions: Sequence[Position]) -> float:
    """Long minus short: N = L - S."""
    return long_exposure(positions) - short_exposure(positions)


def gross_leverage(positions: Sequence[Position], nav: float | None) -> float | None:
    """G / NAV; None where the net asset value is unknown or not positive."""
    if nav is None or math.isnan(nav) or nav <= 0:
        return None
    return gross_exposure(positions) / nav


def shares(positions: Sequence[Position]) -> list[float]:
    """Shares of gross: s_i = |V_i| / G; zeros where gross is 0."""
    gross = gross_exposure(positions)
    return [abs(value) / gross if gross > 0 else 0.0 for _, value in positions]


def concentration(positions: Sequence[Position]) -> float:
    """The largest share of gross: max s_i; 0 where gross is 0."""
    return max(shares(positions), default=0.0)


def herfindahl(positions: Sequence[Position]) -> float:
    """The sum of squared shares of gross: sum s_i^2; 0 where gross is 0."""
    return math.fsum(share * share for share in shares(positions))
