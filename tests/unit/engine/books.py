"""Generated books and markets, the same for the engine and for the naive twins."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import strategies as st

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.model.market import MarketSnapshot, Scenario
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.registry import MEASURES, Qualifier
from tests.reference import scenario
from tests.reference.measures import OF_HISTORY

NAN = float("nan")
AS_OF = datetime(2024, 5, 1, tzinfo=UTC)

# Parts of powers of two add and multiply without rounding, so that ties are ties.
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
)

ITEMS = {Qualifier.SCENARIO: "fall", Qualifier.INSTRUMENT: "I0"}
ALL = tuple(
    MeasureName(name, item=ITEMS.get(definition.qualifier)) for name, definition in MEASURES.items()
)
#: measures that read past returns; some have no twin that sees nothing but the P&L
OF_PAST = {*OF_HISTORY, "shrunk_volatility", *(name.name for name in ALL if name.item == "I0")}
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
    MeasureName("stress_loss", item="guess"),
    MeasureName("stress_loss", item="unheard of"),
    MeasureName("component_value_at_risk", item="unheard of"),
)


@dataclass(frozen=True)
class Book:
    """What is held, by the place of the instrument."""

    positions: list[tuple[int, float]]
    cash: float | None = None
    nav: float | None = None


@dataclass(frozen=True)
class World:
    """Books in one market; `panel` holds the returns of each instrument."""

    books: list[Book]
    prices: list[float]
    panel: list[list[float]]
    scenarios: dict[str, tuple[dict[int, float], float | None]] = field(default_factory=dict)

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
            [f"I{place}" for place in range(len(self.prices))],
            self.prices,
            np.array(self.panel, dtype=np.float64).reshape(len(self.panel), -1).T,
            scenarios={
                name: Scenario({f"I{i}": shock for i, shock in shocks.items()}, others=others)
                for name, (shocks, others) in self.scenarios.items()
            },
        )

    @property
    def block(self) -> PortfolioBlock:
        return block_of(self.books)

    def values(self, book: Book) -> list[tuple[int, float]]:
        """The signed value of each position."""
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
    """The same books in a market of the outcomes that `settings` ask for."""
    days = settings.outcome_days
    return replace(world, panel=[scenario.over_days(steps, days) for steps in world.panel])


def root_of_time(settings: MeasureSettings) -> float:
    """From an outcome to the horizon."""
    return math.sqrt(settings.horizon_days / settings.outcome_days)


def reach_of(settings: MeasureSettings) -> float:
    """From the largest return of a day to that of the horizon."""
    return root_of_time(settings) * settings.outcome_days


amounts = st.none() | st.integers(-8, 8).map(float) | st.floats(-1e6, 1e6)


@st.composite
def book_of(draw, n_instruments, quantity=quantities):
    """A book of up to all instruments, with cash and nav known or not."""
    pairs = st.tuples(st.integers(0, n_instruments - 1), quantity)
    held = draw(st.lists(pairs, max_size=n_instruments, unique_by=lambda pair: pair[0]))
    return Book(held, draw(amounts), draw(amounts))


@st.composite
def worlds(draw, *, gaps=True, min_books=0, min_observations=0, quantity=quantities, price=prices):
    """Up to four books over up to five instruments and twenty-four observations."""
    n_instruments = draw(st.integers(1, 5))
    shocks = st.dictionaries(st.integers(0, n_instruments - 1), moves)
    return World(
        books=draw(st.lists(book_of(n_instruments, quantity), min_size=min_books, max_size=4)),
        prices=draw(st.lists(price, min_size=n_instruments, max_size=n_instruments)),
        panel=panel_of(
            draw(st.integers(0, 2**32 - 1)),
            (n_instruments, draw(st.integers(min_observations, 24))),
            draw(st.sampled_from([0.0, 0.02, 0.2])) if gaps else 0.0,
        ),
        scenarios={"fall": (draw(shocks), None), "guess": (draw(shocks), draw(moves))},
    )


def panel_of(seed, shape, gap_rate):
    """Return returns of which half are parts of powers of two, with ties, and some are missing."""
    dice = np.random.default_rng(seed)
    parts, any_move = dice.integers(-32, 33, shape) / 64, dice.uniform(-0.9, 0.9, shape)
    panel = np.where(dice.random(shape) < 0.5, parts, any_move)
    return np.where(dice.random(shape) < gap_rate, NAN, panel).tolist()


def bits(columns, row):
    """Return the values and outcomes of one row, bit for bit."""
    return {
        str(name): (column.values[row].tobytes(), int(column.outcomes[row]))
        for name, column in columns.items()
    }
