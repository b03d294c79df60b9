"""Worlds of prices, a book, limits and scenarios, and the sheets that a user makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

FloatArray = npt.NDArray[np.float64]
#: a name and one cell per row
Column = tuple[str, list[Any]]

INSTRUMENTS = ("AAPL", "MSFT", "VOD.L", "7203.T")
N_ROWS = 320
#: rows at the start with four times the volatility: the tail of the whole window is there
N_WILD = 60
MEASURES = (
    "market_value",
    "gross_exposure",
    "net_exposure",
    "gross_leverage",
    "concentration",
    "volatility",
    "value_at_risk",
    "expected_shortfall",
    "stress_loss:crash",
    "stress_loss:week",
)


@dataclass(frozen=True)
class World:
    """What is true, before anything is spoilt; NaN is a date on which an instrument did not trade.

    Each instrument has one price per date. Limits have the keys of a limits file.
    """

    dates: tuple[date, ...]
    prices: Mapping[str, FloatArray]
    positions: Mapping[str, Mapping[str, float]]
    navs: Mapping[str, float]
    tags: Mapping[str, Mapping[str, str]]
    shocks: Mapping[str, float]
    others: float
    replay: tuple[date, date]
    limits: tuple[dict[str, Any], ...] = ()
    measures: tuple[str, ...] = MEASURES

    def rows(self, keep: list[int]) -> World:
        """Return the world with these rows of prices only."""
        prices = {name: column[keep] for name, column in self.prices.items()}
        return replace(self, dates=tuple(self.dates[row] for row in keep), prices=prices)

    def without(self, instrument: str, rows: list[int]) -> World:
        """Return the world in which `instrument` did not trade on these rows."""
        column = self.prices[instrument].copy()
        column[rows] = np.nan
        return replace(self, prices={**self.prices, instrument: column})

    def without_scenarios(self) -> World:
        """Return the world as a door sees it that has no scenarios."""
        return replace(
            self,
            measures=tuple(name for name in self.measures if ":" not in name),
            limits=tuple(one for one in self.limits if ":" not in one["measure"]),
        )


def business_days(first: date, n: int) -> tuple[date, ...]:
    """Return the first `n` days from `first` on that are not Saturdays or Sundays."""
    days = (first + timedelta(days=offset) for offset in range(2 * n))
    return tuple([day for day in days if day.weekday() < 5][:n])


def path(seed: int, n: int = N_ROWS, start: float = 100.0, n_wild: int = N_WILD) -> FloatArray:
    """Return prices with four decimals; the first `n_wild` rows have daily moves of 3 %."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, 0.008, n)
    moves[:n_wild] = np.clip(rng.normal(0.0, 0.03, n_wild), -0.1, 0.1)
    return np.round(start * np.exp(np.cumsum(moves)), 4)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a world of two portfolios; limits are 30 % above or below what they observe."""
    from tests.silent.expected import measures_of

    seed = draw(st.integers(0, 10_000))
    first = date(2023, 1, 2) + timedelta(days=draw(st.integers(0, 300)))
    dates = business_days(first, N_ROWS)
    prices = {
        name: path(seed + 7 * place, start=20.0 * (place + 2))
        for place, name in enumerate(INSTRUMENTS)
    }
    quantity = st.integers(100, 5_000).map(float)
    sign = st.sampled_from([1.0, 1.0, -1.0])
    positions = {
        "fund": {name: draw(quantity) for name in INSTRUMENTS[:3]},
        "pair": {
            "AAPL": draw(quantity),
            "7203.T": draw(quantity) * draw(sign),
        },
    }
    desk = draw(st.sampled_from(["core", "macro", "rates"]))
    start = draw(st.integers(20, N_WILD))
    world = World(
        dates,
        prices,
        positions,
        navs={"fund": 500_000.0, "pair": 300_000.0},
        tags={"fund": {"desk": desk}, "pair": {"desk": desk, "strategy": "pairs"}},
        shocks={"AAPL": -draw(st.integers(15, 40)) / 100, "MSFT": -0.25},
        others=-0.2,
        replay=(dates[start], dates[start + draw(st.integers(0, 8))]),
    )
    limits = []
    all_scoped = draw(st.booleans())
    for measure in ("value_at_risk", "gross_leverage", "stress_loss:crash", "concentration"):
        factor = draw(st.sampled_from([0.7, 1.3]))
        largest = max(measures_of(world, name)[measure] for name in positions)
        threshold = abs(largest) * factor + 1e-3
        if measure == "concentration":
            threshold = min(threshold, 0.99)
        key = draw(st.sampled_from(["warn", "hard", "hard"]))
        limit: dict[str, Any] = {"measure": measure, key: float(f"{threshold:.6g}")}
        if all_scoped or measure == "value_at_risk":
            limit["applies_to"] = {"desk": desk}
        limits.append(limit)
    return replace(world, limits=tuple(limits))


@dataclass
class Sheets:
    """The inputs of one check as a user has them: tables with columns of cells, and documents."""

    prices: list[Column]
    book: list[Column]
    limits: list[dict[str, Any]]
    scenarios: dict[str, dict[str, Any]]
    #: options of `MeasureSettings`
    settings: dict[str, Any] = field(default_factory=dict)
    #: tags of instruments
    instrument_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    #: doors with two tables split the book: amounts and tags are in the second table
    beside: bool = True
    #: the second table, if it is not split from the book
    portfolios: list[Column] | None = None
    #: makes the market from labelled arrays, instead of `prices`
    snapshot: Any = None

    def column(self, table: list[Column], name: str) -> list[Any]:
        """Return the cells of a column, to be changed in place."""
        return next(cells for found, cells in table if found == name)

    def rename(self, name: str, to: str) -> None:
        """Rename a column of the book."""
        self.book = [(to if found == name else found, cells) for found, cells in self.book]

    def rows(self, keep: list[int]) -> None:
        """Keep these rows of prices, in this order."""
        self.prices = [(name, [cells[row] for row in keep]) for name, cells in self.prices]


def sheets_of(world: World) -> Sheets:
    """Return the sheets of a careful user."""
    rows = [(book, *pair) for book, held in world.positions.items() for pair in held.items()]
    books = [row[0] for row in rows]
    tag_names = sorted({name for tags in world.tags.values() for name in tags})
    return Sheets(
        prices=[
            ("date", list(world.dates)),
            *((name, column.tolist()) for name, column in world.prices.items()),
        ],
        book=[
            ("portfolio_id", books),
            ("instrument", [row[1] for row in rows]),
            ("quantity", [row[2] for row in rows]),
            ("nav", [world.navs[book] for book in books]),
            *((tag, [world.tags[book].get(tag) for book in books]) for tag in tag_names),
        ],
        limits=[dict(limit) for limit in world.limits],
        scenarios={
            "crash": {"shocks": dict(world.shocks), "others": world.others},
            "week": {"replay": list(world.replay)},
        },
    )
