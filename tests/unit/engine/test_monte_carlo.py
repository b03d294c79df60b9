"""Monte Carlo measures: their draws, their memory and their values."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how_many

from risk_tasks.engine import compute, contributions
from risk_tasks.engine import monte_carlo as engine
from risk_tasks.engine.market import GivenCovariance, MarketArrays
from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings
from tests.reference import monte_carlo, tail
from tests.unit.engine.books import Book, World, bits, block_of, panel_of, settings, worlds

VAR, SHORTFALL = (
    MeasureName("monte_carlo_value_at_risk"),
    MeasureName("monte_carlo_expected_shortfall"),
)
REPAIR = MeasureName("covariance_repair")
NAMES = [VAR, SHORTFALL, MeasureName("monte_carlo_value_at_risk", confidence="0.9")]
SETTINGS = MeasureSettings(n_paths=2_002, seed=3, distribution="student")
#: an invalid correlation matrix, and its repair by the spectral method
BAD = np.array([[1.0, 0.9, 0.7], [0.9, 1.0, 0.3], [0.7, 0.3, 1.0]])


def random_world(n_books=9, n_instruments=8, seed=1):
    """Return books of up to all instruments; the window has more days than any has positions."""
    random = np.random.default_rng(seed)
    books = [
        Book([(int(i), random.normal()) for i in random.permutation(n_instruments)[: 1 + b % 8]])
        for b in range(n_books)
    ]
    return World(books, [10.0] * n_instruments, panel_of(seed, (n_instruments, 60), 0.01))


def measured(world, settings=SETTINGS, names=NAMES):
    return compute(world.block, world.market, names, settings)


def assert_same(left, right, n):
    for row in range(n):
        assert bits(left, row) == bits(right, row)


@pytest.mark.parametrize("distribution", ["normal", "student"])
@pytest.mark.parametrize("convention", ["conservative", "loss_quantile", "linear"])
def test_measures_are_those_of_the_reference(distribution, convention):
    """They agree within 1e-9 of the book; the window has more days than the book has positions."""
    world = random_world()
    settings = MeasureSettings(
        "0.975", 10, convention, n_paths=1_002, seed=2**63 - 1, distribution=distribution
    )
    names = [f"I{place}" for place in range(8)]
    columns = measured(world, settings)

    for row, book in enumerate(world.books):
        values = world.values(book)
        pnl = monte_carlo.outcomes(values, world.panel, 60, names, settings)
        scale = sum(abs(value) for _, value in values)
        for name, column in columns.items():
            level = name.confidence or "0.975"
            expected = (
                tail.expected_shortfall(pnl, level)
                if name is SHORTFALL
                else tail.value_at_risk(pnl, level, convention)
            )
            assert abs(column.values[row] - expected * 10**0.5) <= 1e-9 * scale


@pytest.mark.parametrize("distribution", ["normal", "student"])
def test_chunks_of_paths_and_portfolios_change_no_bit(distribution, monkeypatch):
    """Chunks are a few pairs of one portfolio, or everything."""
    world, settings = random_world(), replace(SETTINGS, distribution=distribution)
    whole = measured(world, settings)
    for bound in ("_DRAWS_BYTES", "_PNL_BYTES", "_WORST_BYTES"):
        monkeypatch.setattr(engine, bound, 1)
    monkeypatch.setattr(engine, "_FEWEST_PAIRS", 8)

    assert_same(measured(world, settings), whole, len(world.books))


def test_an_instrument_keeps_its_draws_when_others_join_the_market():
    """The stream depends on its name, not on its index or on other instruments."""
    world = random_world()
    wider = World(
        [Book([(i + 1, q) for i, q in book.positions]) for book in world.books],
        [7.0, *world.prices, 7.0],
        [world.panel[0], *world.panel, world.panel[1]],
    )
    market, others = world.market, wider.market
    renamed = replace(others, streams=np.insert(market.streams, [0, 8], np.uint64(1)))

    assert_same(compute(wider.block, renamed, NAMES, SETTINGS), measured(world), len(world.books))


def test_bits_are_the_same_in_another_process():
    """Nothing depends on earlier computations or on the hash seed of the process."""
    code = (
        "from tests.unit.engine.test_monte_carlo import measured, random_world\n"
        "print([c.values.tobytes().hex() for c in measured(random_world()).values()])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    found = [column.values.tobytes().hex() for column in measured(random_world()).values()]
    assert run.stdout.strip() == str(found)


def test_seed_and_number_of_paths_make_other_draws():
    """Equal seeds and numbers of paths give equal results, for each distribution."""
    world = random_world()
    changes = ({"seed": 4}, {"n_paths": 2_004}, {"distribution": "normal"})
    found = [
        measured(world, replace(SETTINGS, **change))[SHORTFALL].values[0]
        for change in ({}, *changes)
    ]

    assert len(set(found)) == 4


@how_many(max_examples=30)
@given(worlds(min_books=1, min_observations=2), settings)
def test_the_shortfall_is_never_below_the_value_at_risk(world, settings):
    """This holds in the two conventions that are order statistics."""
    settings = replace(settings, var_convention="loss_quantile")
    var, shortfall = compute(world.block, world.market, [VAR, SHORTFALL], settings).values()

    assert (var.is_ok == shortfall.is_ok).all()
    assert (shortfall.values[var.is_ok] >= var.values[var.is_ok]).all()


def test_a_book_without_variance_has_no_risk():
    """An empty book, one of quantity 0, and one with constant prices have a risk of +0."""
    world = World([Book([]), Book([(0, 0.0)]), Book([(0, 5.0)])], [1.0], [[0.0] * 5])

    for column in measured(world).values():
        assert column.values.tobytes() == np.zeros(3).tobytes()
        assert not column.outcomes.any()


def test_a_short_and_a_long_position_have_opposite_paths():
    """Both books have the same random draws."""
    world = World([Book([(0, 5.0)]), Book([(0, -5.0)])], [1.0], panel_of(3, (1, 50), 0.0))

    for column in measured(world).values():
        assert column.values[0] == column.values[1]


@pytest.mark.parametrize("n_observations", [0, 1])
def test_one_observation_has_no_covariance(n_observations):
    world = World([Book([(0, 5.0)])], [1.0], [[0.5] * n_observations])

    for column in measured(world).values():
        assert Outcome(column.outcomes[0]) is Outcome.WINDOW_TOO_SHORT


def test_a_tail_needs_enough_paths():
    """A thousand paths are enough for a tail of 0.001, and not for a smaller one."""
    world, settings = random_world(1), MeasureSettings(n_paths=1_000)
    names = [
        MeasureName(kind, confidence=level)
        for kind in (VAR.name, SHORTFALL.name)
        for level in ("0.999", "0.9991")
    ]

    found = [Outcome(c.outcomes[0]) for c in measured(world, settings, names).values()]

    assert found == [Outcome.OK, Outcome.TOO_FEW_PATHS] * 2


def with_covariance(world, covariance):
    return MarketArrays.of(replace(world.snapshot, covariance=covariance))


def test_a_given_covariance_needs_no_past_returns():
    """It is not repaired, and risk has its standard deviations."""
    world = World([Book([(0, 2.0), (1, -1.0)]), Book([])], [10.0, 20.0], [[], []])
    covariance = np.array([[4.0, 1.0], [1.0, 9.0]]) * 1e-4
    market = with_covariance(world, covariance)
    columns = compute(world.block, market, [*NAMES, REPAIR], MeasureSettings())
    volatility = 20 * (covariance @ [1, -1] @ [1, -1]) ** 0.5

    assert columns[VAR].values[0] == pytest.approx(2.326 * volatility, rel=0.06)
    assert columns[VAR].values[1] == 0.0
    assert all(not column.outcomes.any() for column in columns.values())
    assert columns[REPAIR].values.tolist() == [0.0, 0.0]
    assert market.covariance.matrix.tobytes() == covariance.tobytes()


def three(correlation, world_books):
    world = World(world_books, [10.0] * 3, [[]] * 3)
    return world, with_covariance(world, correlation * 1e-4)


def test_a_repaired_covariance_is_reported():
    """The measure is degraded, except that of an empty book."""
    world, market = three(BAD, [Book([(0, 2.0), (1, -1.0)]), Book([])])
    repaired = GivenCovariance.of(BAD * 1e-4)
    columns = compute(world.block, market, [*NAMES, REPAIR], SETTINGS)
    plain = compute(
        world.block, with_covariance(world, repaired.matrix), [*NAMES, REPAIR], SETTINGS
    )

    for name in NAMES:
        assert columns[name].outcomes.tolist() == [Outcome.COVARIANCE_REPAIRED, Outcome.OK]
        assert columns[name].values.tolist() == plain[name].values.tolist()
        parts = contributions(world.block, market, name, SETTINGS, 0)
        assert parts.sum() == pytest.approx(columns[name].values[0], rel=1e-9)
    assert columns[REPAIR].values.tolist() == [repaired.repair] * 2
    assert plain[REPAIR].values.tolist() == [0.0, 0.0]
    assert contributions(world.block, market, REPAIR, SETTINGS, 0).tolist() == [0.0, 0.0]


def test_a_covariance_that_needs_too_large_a_repair_is_refused():
    """No measure uses it; a limit on covariance_repair still works."""
    world, market = three(np.array([[1, 1, -1], [1, 1, 1], [-1, 1, 1.0]]), [Book([(0, 1.0)])])
    columns = compute(world.block, market, [*NAMES, REPAIR], SETTINGS)

    for name in NAMES:
        assert Outcome(columns[name].outcomes[0]) is Outcome.COVARIANCE_REFUSED
        assert np.isnan(columns[name].values[0])
    assert columns[REPAIR].values[0] > 0.25


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e308])
def test_a_book_that_overflows_has_no_value(scale):
    """This holds for each covariance and quantity."""
    world = World([Book([(0, q), (1, -q)]) for q in (1e-320, 1.0, 1e308)], [1.0] * 2, [[]] * 2)
    market = with_covariance(world, np.array([[1.0, 0.5], [0.5, 1.0]]) * scale)

    for column in compute(world.block, market, NAMES, SETTINGS).values():
        assert np.isfinite(column.values[column.is_ok]).all()
        assert set(column.outcomes.tolist()) <= {Outcome.OK, Outcome.NOT_FINITE}
        assert column.outcomes[1] == (Outcome.NOT_FINITE if scale == 1e308 else Outcome.OK)


def test_new_prices_share_the_streams_and_the_covariance():
    """Names are not hashed and eigenvalues not computed again."""
    world = random_world()
    first = with_covariance(world, np.eye(8))
    marked = replace(world.snapshot, covariance=np.eye(8)).with_prices(
        np.full(8, 3.0), as_of=first.as_of
    )
    again = MarketArrays.of(marked, like=first)

    assert again.streams is first.streams
    assert again.covariance is first.covariance


def test_parts_are_those_of_the_portfolio_at_the_place_in_its_own_order():
    """A position worth 0 contributes 0."""
    world = random_world()
    book = Book([(5, 0.0), (3, 2.0), (0, -1.0)])
    alone = Book([(0, -1.0), (3, 2.0)])
    block = block_of([Book([]), book, alone])

    for name in NAMES:
        parts = contributions(block, world.market, name, SETTINGS, 1)
        others = contributions(block, world.market, name, SETTINGS, 2)
        assert parts.tolist() == [0.0, others[1], others[0]]
