"""The positions that portfolios must have, by adding floats: pure functions."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from benchmarks.live.system import HARD_AT, MARKET, WARN_AT
from risk_tasks.model.live import LimitState

_N_INSTRUMENTS = 20
_PRICES = dict(zip(MARKET.instruments, MARKET.prices.tolist(), strict=True))


@dataclass(slots=True)
class Book:
    """The expected state of one portfolio."""

    positions: dict[str, float] = field(default_factory=dict)
    version: int = 1

    def change(self, deltas: Mapping[str, float]) -> None:
        for instrument, delta in deltas.items():
            total = self.positions.get(instrument, 0.0) + delta
            if total:
                self.positions[instrument] = total
            else:
                self.positions.pop(instrument, None)
        self.version += 1

    @property
    def state(self) -> LimitState:
        net = sum(quantity * _PRICES[name] for name, quantity in self.positions.items())
        if net > HARD_AT:
            return LimitState.HARD
        return LimitState.WARN if net > WARN_AT else LimitState.OK


class Done(msgspec.Struct):
    """The work of one user: changes sent, changes sent twice, and the expected state by name."""

    n_changes: int
    n_twice: int
    books: dict[str, Book]


def some_deltas(dice: random.Random) -> dict[str, float]:
    """Return increments whose sum depends on their order."""
    names = dice.sample(MARKET.instruments[:_N_INSTRUMENTS], dice.randint(1, 3))
    return {name: dice.gauss(0.0, 10.0 ** dice.randint(-3, 3)) for name in names}
