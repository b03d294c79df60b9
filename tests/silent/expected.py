"""The right numbers and decisions of a world, in plain NumPy, from the definitions alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tests.silent.worlds import World

_ALPHA = Fraction(1, 100)
_GRAVITY = ("none", "accept", "warn", "reject")


@dataclass(frozen=True)
class Expected:
    """The answer for one portfolio."""

    measures: dict[str, float]
    decision: str
    limits_applied: int
    n_observations: int


def common_rows(world: World, portfolio: str) -> list[int]:
    """Return the rows on which all that the portfolio holds traded."""
    held = np.column_stack([world.prices[name] for name in world.positions[portfolio]])
    return np.flatnonzero(~np.isnan(held).any(axis=1)).tolist()


def measures_of(world: World, portfolio: str) -> dict[str, float]:
    """Return every measure of the portfolio, at 99 % and one day."""
    held = world.positions[portfolio]
    rows = common_rows(world, portfolio)
    prices = np.column_stack([world.prices[name][rows] for name in held])
    values = np.array(list(held.values())) * prices[-1]
    pnl = (prices[1:] / prices[:-1] - 1.0) @ values
    losses = np.sort(-pnl)[::-1]
    tail = float(len(pnl) * _ALPHA)
    k = max(1, math.ceil(len(pnl) * _ALPHA))
    gross = float(np.abs(values).sum())
    shocks = np.array([world.shocks.get(name, world.others) for name in held])
    replayed = np.array([_replayed(world, name) for name in held])
    return {
        "market_value": float(values.sum()),
        "net_exposure": float(values.sum()),
        "gross_exposure": gross,
        "gross_leverage": gross / world.navs[portfolio],
        "concentration": float(np.abs(values).max()) / gross,
        "volatility": float(np.std(pnl, ddof=1)),
        "value_at_risk": float(losses[k - 1]),
        "expected_shortfall": float(
            (losses[: k - 1].sum() + (tail - k + 1) * losses[k - 1]) / tail
        ),
        "stress_loss:crash": float(-(values * shocks).sum()),
        "stress_loss:week": float(-(values * replayed).sum()),
    }


def _replayed(world: World, instrument: str) -> float:
    """Return the relative change of the instrument's own prices over the window of the replay."""
    first, last = world.replay
    prices = world.prices[instrument]
    traded = [(day, price) for day, price in zip(world.dates, prices, strict=True) if price > 0]
    before = max(pair for pair in traded if pair[0] < first)[1]
    return float(max(pair for pair in traded if pair[0] <= last)[1] / before - 1.0)


def expect(world: World) -> dict[str, Expected]:
    """Return the right answer for each portfolio."""
    answers = {}
    for portfolio in world.positions:
        measures, severity, n_applied = measures_of(world, portfolio), 0, 0
        for limit in world.limits:
            scope = limit.get("applies_to", {})
            if any(world.tags[portfolio].get(tag) != value for tag, value in scope.items()):
                continue
            n_applied += 1
            observed = measures[limit["measure"]]
            severity = max(
                severity,
                1,
                3 if observed > limit.get("hard", math.inf) else 0,
                2 if observed > limit.get("warn", math.inf) else 0,
            )
        answers[portfolio] = Expected(
            {name: measures[name] for name in world.measures},
            _GRAVITY[severity],
            n_applied,
            len(common_rows(world, portfolio)) - 1,
        )
    return answers
