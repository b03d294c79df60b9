"""Generates books and markets, for the engine and for the reference implementations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

import numpy as np
from hypothesis import strategies as st

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.registry import MEASURES, Qualifier
from risk_tasks.model.scenario import Replay, Scenario, Stress
from tests.reference import scenario
from tests.reference.measures import OF_HISTORY

NAN = float("nan")
AS_OF = datetime(2024, 5, 1, tzinfo=UTC)

# Sums and products of these fractions have no rounding, so that ties are exact.
quantities = st.integers(-80, 80).map(lambda eighths: eighths / 8) | st.floats(-1e6, 1e6)
prices = st.integers(0, 40).map(lambda quarters: quarters / 4) | st.floats(-10, 1e3)
moves = st.integers(-32, 32).map(lambda parts: parts / 64) | st.floats(-0.9, 0.9)
confidences = st.sampled_from(["0.5", "0.75", "0.9", "0.95"])

settings = st.builds(
    MeasureSettings,
    confidences,
    st.integers(1, 10) | st.sampled_from([250, 1000]),
    st.sampled_from(["conservative", "loss_quantile", "linear"]),
    degrees_of_freedom=st.sampled_from([3, 4, 5, 30]),
    decay=st.sampled_from([0.8, 0.94, 0.97]),
    age_decay=st.sampled_from([0.5, 0.98, 1.0]),
    horizon_rule=st.sampled_from(["sqrt_time", "sqrt_time", "overlapping"]),
    n_paths=st.just(1_000),
    seed=st.sampled_from([0, 2**63 - 1]),
    distribution=st.sampled_from(["normal", "student"]),
)

ITEMS = {Qualifier.SCENARIO: "fall", Qualifier.INSTRUMENT: "I0"}
ALL = tuple(
    MeasureName(name, item=ITEMS.get(definition.qualifier)) for name, definition in MEASURES.items()
)
#: measures that read past returns; the references of some read more than the P&L
OF_PAST = {
    *OF_HISTORY,
    "shrunk_volatility",
    *(name.name for name in ALL if name.item == "I0" or name.definition.by_path),
}
QUALIFIED = (
    MeasureName("value_at_risk", confidence="0.6"),
    MeasureName("value_at_risk", confidence="0.95"),
    MeasureName("value_at_risk_lower", confidence="0.6"),
    MeasureName("value_at_risk_upper", confidence="0.6"),
    MeasureName("expected_shortfall", confidence="0.6"),
    MeasureName("expected_shortfall", confidence="0.95"),
    MeasureName("parametric_value_at_risk", confidence="0.995"),
    MeasureName("student_value_at_risk", confidence="0.995"),
    MeasureName("student_expected_shortfall", confidence="0.995"),
    MeasureName("age_weighted_value_at_risk", confidence="0.6"),
    MeasureName("cornish_fisher_value_at_risk", confidence="0.6"),
    MeasureName("cornish_fisher_value_at_risk", confidence="0.995"),
    MeasureName("filtered_value_at_risk", confidence="0.6"),
    MeasureName("monte_carlo_value_at_risk", confidence="0.3"),
    MeasureName("monte_carlo_value_at_risk", confidence="0.9999"),
    MeasureName("monte_carlo_expected_shortfall", confidence="0.995"),
    MeasureName("stress_loss", item="guess"),
    MeasureName("stress_loss", item="mixed"),
    MeasureName("stress_loss", item="replay"),
    MeasureName("stress_coverage", item="replay"),
    MeasureName("stress_coverage", item="unheard of"),
    MeasureName("stress_loss", item="unheard of"),
    MeasureName("component_value_at_risk", item="unheard of"),
)


@dataclass(frozen=True)
class Book:
    """The positions of a portfolio: the index of each instrument, and its quantity."""

    positions: list[tuple[int, float]]
    cash: float | None = None
    nav: float | None = None


@dataclass(frozen=True)
class World:
    """Books in one market; `panel` has one sequence of returns per instrument."""

    books: list[Book]
    prices: list[float]
    panel: list[list[float]]
    scenarios: dict[str, tuple[dict[int, float], float | None]] = field(default_factory=dict)
    #: scenarios of any kind, with names of instruments
    more: dict[str, Stress] = field(default_factory=dict)
    dates: list[date] | None = None
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def n_observations(self) -> int:
        return len(self.panel[0])

    @property
    def market(self) -> MarketArrays:
        return MarketArrays.of(self.snapshot)

    @property
    def snapshot(self) -> MarketSnapshot:
        return MarketSnapshot(
            AS_OF,
            [f"I{i}" for i in range(len(self.prices))],
            self.prices,
            np.array(self.panel, dtype=np.float64).reshape(len(self.panel), -1).T,
            scenarios=self.stresses,
            dates=self.dates,
            tags=self.tags,
        )

    @property
    def stresses(self) -> dict[str, Stress]:
        plain = {
            name: Scenario({f"I{i}": shock for i, shock in shocks.items()}, others=others)
            for name, (shocks, others) in self.scenarios.items()
        }
        return {**plain, **self.more}

    @property
    def block(self) -> PortfolioBlock:
        return block_of(self.books)

    def values(self, book: Book) -> list[tuple[int, float]]:
        """Return the instrument and the signed value of each position."""
        return [(i, quantity * self.prices[i]) for i, quantity in book.positions]


def block_of(books: list[Book]) -> PortfolioBlock:
    """Return the books as arrays."""
    flat = [position for book in books for position in book.positions]
    return PortfolioBlock(
        offsets=np.cumsum([0, *(len(book.positions) for book in books)], dtype=np.int64),
        instrument=np.array([i for i, _ in flat], dtype=np.int64),
        quantity=np.array([quantity for _, quantity in flat], dtype=np.float64),
        cash=np.array([NAN if b.cash is None else b.cash for b in books], dtype=np.float64),
        nav=np.array([NAN if b.nav is None else b.nav for b in books], dtype=np.float64),
    )


def over_the_horizon(world: World, settings: MeasureSettings) -> World:
    """Return the same books in a market whose returns are the outcomes of `settings`."""
    days = settings.outcome_days
    return replace(world, panel=[scenario.over_days(steps, days) for steps in world.panel])


def root_of_time(settings: MeasureSettings) -> float:
    """Return the factor from the days of an outcome to the horizon."""
    return math.sqrt(settings.horizon_days / settings.outcome_days)


def reach_of(settings: MeasureSettings) -> float:
    """Return the factor from the largest return of a day to that of the horizon."""
    return root_of_time(settings) * settings.outcome_days


FIRST_DAY = date(2024, 1, 5)
SECTORS = ("oil", "tech", "none")


@st.composite
def replays(draw, dates):
    """Generate replays of windows within the dates, across their ends, or outside of them."""
    days = [*dates, FIRST_DAY] if dates else [FIRST_DAY]
    ends = st.sampled_from(days) | st.integers(-3, 40).map(lambda n: FIRST_DAY + timedelta(n))
    start, end = sorted([draw(ends), draw(ends)])
    least = draw(st.sampled_from([1.0, 0.5, 0.25, 0.0]))
    return Replay(start, end, min_coverage=least, others=draw(moves) if least < 1 else None)


@st.composite
def mixtures(draw, n_instruments):
    """Generate scenarios of relative and absolute changes, by instrument, tag, or for others."""
    order = draw(st.permutations(range(n_instruments)))
    cut, end = sorted([draw(st.integers(0, n_instruments)), draw(st.integers(0, n_instruments))])
    return Scenario(
        {f"I{i}": draw(moves) for i in order[:cut]},
        moves={f"I{i}": draw(quantities) for i in order[cut:end]},
        by_tag={"sector": draw(st.dictionaries(st.sampled_from(SECTORS[:2]), moves))},
        others=draw(st.none() | moves),
    )


amounts = st.none() | st.integers(-8, 8).map(float) | st.floats(-1e6, 1e6)


@st.composite
def book_of(draw, n_instruments, quantity=quantities):
    """Generate a book of up to all instruments; cash and nav may be unknown."""
    pairs = st.tuples(st.integers(0, n_instruments - 1), quantity)
    held = draw(st.lists(pairs, max_size=n_instruments, unique_by=lambda pair: pair[0]))
    return Book(held, draw(amounts), draw(amounts))


@st.composite
def worlds(draw, *, gaps=True, min_books=0, min_observations=0, quantity=quantities, price=prices):
    """Generate up to four books of up to five instruments and twenty-four observations."""
    n_instruments = draw(st.integers(1, 5))
    shocks = st.dictionaries(st.integers(0, n_instruments - 1), moves)
    n_observations = draw(st.integers(min_observations, 24))
    steps = draw(st.lists(st.integers(1, 3), min_size=n_observations, max_size=n_observations))
    dates = [FIRST_DAY + timedelta(days) for days in accumulate(steps)]
    sectors = [draw(st.sampled_from(SECTORS)) for _ in range(n_instruments)]
    return World(
        books=draw(st.lists(book_of(n_instruments, quantity), min_size=min_books, max_size=4)),
        prices=draw(st.lists(price, min_size=n_instruments, max_size=n_instruments)),
        panel=panel_of(
            draw(st.integers(0, 2**32 - 1)),
            (n_instruments, n_observations),
            draw(st.sampled_from([0.0, 0.02, 0.2])) if gaps else 0.0,
        ),
        scenarios={"fall": (draw(shocks), None), "guess": (draw(shocks), draw(moves))},
        more={"mixed": draw(mixtures(n_instruments)), "replay": draw(replays(dates))},
        dates=dates,
        tags={f"I{i}": {"sector": sector} for i, sector in enumerate(sectors)},
    )


def panel_of(seed, shape, gap_rate):
    """Return returns: half are multiples of 1/64, with ties, and some are missing."""
    dice = np.random.default_rng(seed)
    parts, any_move = dice.integers(-32, 33, shape) / 64, dice.uniform(-0.9, 0.9, shape)
    panel = np.where(dice.random(shape) < 0.5, parts, any_move)
    return np.where(dice.random(shape) < gap_rate, NAN, panel).tolist()


def bits(columns, row):
    """Return the bits of the values, and the outcomes, of one row."""
    return {
        str(name): (column.values[row].tobytes(), int(column.outcomes[row]))
        for name, column in columns.items()
    }
