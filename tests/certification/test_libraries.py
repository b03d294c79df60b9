"""The engine against skfolio, Riskfolio-Lib, empyrical-reloaded, scikit-learn: `make certify`.

Random books of real prices, long and short, in the libraries' own environment: every row of
`AGREEMENTS` holds where it says so, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks.libraries import defaults, table
from benchmarks.libraries.agreements import AGREEMENTS, Agreement
from benchmarks.libraries.books import Books
from benchmarks.libraries.environment import LIBRARIES
from benchmarks.libraries.run import Libraries, libraries
from risk_tasks import read_market, sample
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings, tail_probability
from risk_tasks.model.registry import MEASURES, Qualifier, Unit
from tests.programs import absent

#: days and confidence; n alpha is an integer in the last three
CASES = [(250, "0.99"), (252, "0.975"), (500, "0.95"), (1000, "0.99"), (1000, "0.975")]
N_BOOKS, NAV = 16, 1e7

# The first answer waits until Python has compiled 200 MB of imports.
pytestmark = pytest.mark.timeout(900)

Answers = Callable[[int, str], dict[str, dict[str, list[Any]]]]


class Fixture(NamedTuple):
    snapshot: MarketSnapshot
    block: PortfolioBlock
    books: Books


def random_books() -> Fixture:
    """Return books of two to twenty shares: every third is long only, the others long and short."""
    random = np.random.default_rng(6)
    snapshot = read_market(sample.PRICES)
    held, quantity = [], []
    for number in range(N_BOOKS):
        n_held = int(random.integers(2, len(snapshot.prices) + 1))
        held.append(np.sort(random.permutation(len(snapshot.prices))[:n_held]))
        size = random.uniform(1e5, 2e6, n_held)
        sign = 1.0 if number % 3 == 0 else random.choice([-1.0, 1.0], n_held)
        quantity.append(size * sign / snapshot.prices[held[-1]])
    offsets = np.cumsum([0, *map(len, held)])
    instrument, every = np.concatenate(held), np.concatenate(quantity)
    nav = np.full(N_BOOKS, NAV)
    block = PortfolioBlock(offsets, instrument, every, np.full(N_BOOKS, np.nan), nav)
    weights = every * snapshot.prices[instrument] / NAV
    return Fixture(snapshot, block, Books(offsets, instrument, weights, snapshot.returns.T))


@pytest.fixture(scope="module")
def fixture() -> Fixture:
    return random_books()


@pytest.fixture(scope="module")
def process(fixture: Fixture) -> Iterator[Libraries]:
    if not LIBRARIES.is_ready:
        absent("environment of other risk libraries", "make libraries")
    with libraries(fixture.books) as running:
        yield running


@pytest.fixture(scope="module")
def answers(process: Libraries) -> Answers:
    """The numbers of every library for every book, read once for each case."""

    @cache
    def values(window: int, confidence: str) -> Any:
        return process.ask(ask="values", window=window, confidence=confidence)

    return values


def ours(fixture: Fixture, agreement: Agreement, window: int, confidence: str) -> list[np.ndarray]:
    """Return our measure of each book over its NAV; NaN if its outcome is not `ok`."""
    settings = MeasureSettings(confidence=confidence, **agreement.settings)
    market = MarketArrays.of(
        MarketSnapshot(
            fixture.snapshot.as_of,
            fixture.snapshot.instruments,
            fixture.snapshot.prices,
            fixture.snapshot.returns[-window:],
        )
    )
    definition, found = MEASURES[agreement.measure], []
    for place in range(N_BOOKS):
        row = fixture.block.row(place)
        items: list[str] = [""]
        if definition.qualifier is Qualifier.INSTRUMENT:
            held = row.instrument if agreement.of_positions else [0]
            items = [f":{fixture.snapshot.instruments[one]}" for one in held]
        names = [MeasureName.parse(agreement.measure + item) for item in items]
        columns = compute(row, market, names, settings)
        scale = NAV if definition.unit is Unit.CURRENCY else 1.0
        found.append(np.array([plain(columns[name]) for name in names]) / scale)
    return found


def plain(column: MeasureColumn) -> float:
    return float(column.values[0]) if column.is_ok[0] else np.nan


def distances(expected: list[np.ndarray], theirs: list[Any]) -> np.ndarray:
    """Return the largest difference in each book, relative to the largest number in it."""
    pairs = [(mine, np.atleast_1d(other)) for mine, other in zip(expected, theirs, strict=True)]
    assert all(mine.shape == other.shape for mine, other in pairs)
    found = [float(np.abs(mine - other).max() / np.abs(mine).max()) for mine, other in pairs]
    return np.array(found)[~np.isnan([mine.sum() for mine, _ in pairs])]


@pytest.mark.parametrize(("window", "confidence"), CASES)
@pytest.mark.parametrize(
    "agreement",
    AGREEMENTS,
    ids=[f"{one.measure}-{one.call}-{one.where}".replace(" ", "-") for one in AGREEMENTS],
)
def test_a_library_agrees_exactly_where_the_table_lists_it(
    fixture: Fixture, answers: Answers, agreement: Agreement, window: int, confidence: str
) -> None:
    expected = ours(fixture, agreement, window, confidence)
    alpha = tail_probability(confidence)

    ways = [way for way in answers(window, confidence).values() if agreement.call in way]

    assert ways
    for way in ways:
        apart = distances(expected, way[agreement.call])
        assert len(apart) >= N_BOOKS / 4
        if agreement.where.holds(window, alpha):
            assert apart.max() <= agreement.relative
        else:
            assert apart.min() > 1e-6


def test_every_call_is_in_the_table(answers: Answers) -> None:
    """A library call that is not compared would certify nothing."""
    called = {call for way in answers(*CASES[0]).values() for call in way}

    assert called == {agreement.call for agreement in AGREEMENTS}


def test_the_installed_versions_are_the_pinned_ones(process: Libraries) -> None:
    """docs/reference/measures.md lists the same pins."""
    pins = dict(line.split("==") for line in table.PINS.read_text().split())

    versions = process.ask(ask="versions")

    assert pins == {name: versions[name] for name in pins}


def test_the_libraries_use_our_default_settings() -> None:
    standard = MeasureSettings()

    assert standard.decay == defaults.DECAY
    assert standard.age_decay == defaults.AGE_DECAY
