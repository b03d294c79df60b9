"""The engine against its reference implementations, and properties of every measure."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how_many
from hypothesis import strategies as st

from risk_tasks.engine import MarketArrays, compute
from risk_tasks.engine.compute import FUNCTIONS
from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.registry import MEASURES, Qualifier
from tests.reference import exposure, moments, monte_carlo, rank, scenario, shrinkage, tail
from tests.reference.measures import OF_HISTORY
from tests.unit.engine import stresses
from tests.unit.engine.books import (
    ALL,
    NAN,
    OF_PAST,
    QUALIFIED,
    Book,
    World,
    bits,
    block_of,
    over_the_horizon,
    panel_of,
    reach_of,
    root_of_time,
    settings,
    worlds,
)

EVERYTHING = ALL + QUALIFIED
BUT_STRESS = [name for name in ALL if "stress" not in name.name]
MINUTE = 1e-12
#: an absolute tolerance, for numbers so small that rounding is not relative
SUBNORMAL = 1e-300


def test_every_measure_of_the_registry_has_its_functions():
    """Every function has a measure in the registry."""
    assert set(FUNCTIONS) == set(MEASURES)


def expected_of(world: World, book: Book, name: MeasureName, settings: MeasureSettings):
    """Return (outcome, value) by the reference implementations; `world` has the outcomes."""
    values = world.values(book)
    special = {
        "gross_leverage": lambda: _of_leverage(book, values),
        **dict.fromkeys(_STRESSES, lambda: stresses.expected_of(world, book, name)),
        "shrunk_volatility": lambda: _of_shrinkage(world, values, settings),
        "covariance_repair": lambda: (Outcome.OK, 0.0),
    }
    if name.name in special:
        return special[name.name]()
    if name.definition.qualifier is Qualifier.INSTRUMENT:
        return _of_instrument(world, book, name, settings)
    if name.definition.by_path:
        return _of_paths(world, book, name, settings)
    if hasattr(exposure, name.name):
        shares = name.name in {"concentration", "herfindahl"}
        nothing = shares and not exposure.gross_exposure(values)
        outcome = Outcome.ZERO_GROSS if nothing else Outcome.OK
        return outcome, getattr(exposure, name.name)(values)
    pnl = scenario.profit_and_loss(values, world.panel, world.n_observations)
    return _of_history(name, settings, values, [p for p in pnl if p is not None])


def _nav_of(book, values):
    if book.nav is None and book.cash is not None:
        return exposure.market_value(values) + book.cash
    return book.nav


def _of_leverage(book, values):
    nav = _nav_of(book, values)
    if nav is None:
        return Outcome.NAV_UNKNOWN, None
    if nav <= 0:
        return Outcome.NAV_NOT_POSITIVE, None
    gross = exposure.gross_exposure(values)
    return _finite(gross / nav) if gross else (Outcome.ZERO_GROSS, 0.0)


def _finite(ratio):
    """Return the outcome and `ratio`, which a very small net asset value lets overflow."""
    return (Outcome.OK, ratio) if math.isfinite(ratio) else (Outcome.NOT_FINITE, None)


_STRESSES = ("stress_loss", "stress_coverage", "worst_stress_loss")


def _of_shrinkage(world, values, settings):
    """Uses observations with a return of every held instrument; none if outcomes overlap."""
    times, held = (
        scenario.observed(values, world.panel, world.n_observations),
        scenario.held(values),
    )
    if len(times) < settings.outcome_days + 1:
        return Outcome.WINDOW_TOO_SHORT, None
    if settings.outcome_days > 1 and held:
        return Outcome.OVERLAPPING, None
    returns = [[world.panel[i][t] for t in times] for i, _ in held]
    spread = shrinkage.shrunk_volatility([value for _, value in held], returns)
    return Outcome.OK, spread * root_of_time(settings)


def _of_instrument(world, book, name, settings):
    """Uses shares of volatility and shortfall, and the book without the instrument."""
    if name.item not in {f"I{i}" for i in range(len(world.prices))}:
        return Outcome.UNKNOWN_INSTRUMENT, None
    index, n, values = int(name.item[1:]), world.n_observations, world.values(book)
    if name.name == "beta":
        return _of_beta(world, book, index, settings)
    times = scenario.observed(values, world.panel, n)
    like = "expected_shortfall" if "short" in name.name else "volatility"
    if len(times) < OF_HISTORY[like].n_required(settings.confidence, settings.outcome_days):
        return Outcome.WINDOW_TOO_SHORT, None
    root, z = root_of_time(settings), tail.normal_quantile(settings.confidence)
    shares = {
        "component_expected_shortfall": lambda: tail.expected_shortfall_contributions(
            values, world.panel, n, settings.confidence
        ),
        "component_value_at_risk": lambda: [
            z * part for part in tail.volatility_contributions(values, world.panel, n)
        ],
    }
    if name.name in shares:
        held = dict(zip((i for i, _ in values), shares[name.name](), strict=True))
        return Outcome.OK, held.get(index, 0.0) * root
    if name.name == "incremental_value_at_risk":
        # On the outcomes of the whole book, also where the rest has more.
        rest = [(i, value) for i, value in values if i != index]
        pnl = scenario.profit_and_loss(rest, world.panel, n)
        spreads = [
            tail.standard_deviation(of) for of in (_seen(world, values), [pnl[t] for t in times])
        ]
        return Outcome.OK, z * (spreads[0] - spreads[1]) * root
    return _of_marginal([world.panel[index][t] for t in times], _seen(world, values), z * root)


def _of_paths(world, book, name, settings):
    confidence, values = name.confidence or settings.confidence, world.values(book)
    if len(scenario.observed(values, world.panel, world.n_observations)) < 2:
        return Outcome.WINDOW_TOO_SHORT, None
    if settings.n_paths < rank.minimal_observations(confidence):
        return Outcome.TOO_FEW_PATHS, None
    pnl = _random_outcomes(tuple(values), tuple(map(tuple, world.panel)), settings)
    if "shortfall" in name.name:
        value = tail.expected_shortfall(pnl, confidence)
    else:
        value = tail.value_at_risk(pnl, confidence, settings.var_convention)
    gains = Outcome.NEGATIVE_ES if "shortfall" in name.name else Outcome.NEGATIVE_VAR
    return gains if value < 0 else Outcome.OK, value * math.sqrt(settings.horizon_days)


@lru_cache(maxsize=4)
def _random_outcomes(values, panel, settings):
    names = [f"I{i}" for i in range(len(panel))]
    return monte_carlo.outcomes(values, panel, len(panel[0]), names, settings)


def _of_beta(world, book, index, settings):
    values = world.values(book)
    times = scenario.observed(values, world.panel, world.n_observations)
    returns, nav = [world.panel[index][t] for t in times], _nav_of(book, values)
    for holds, outcome in (
        (len(times) < settings.outcome_days + 1, Outcome.WINDOW_TOO_SHORT),
        (nav is None, Outcome.NAV_UNKNOWN),
        (nav is not None and nav <= 0, Outcome.NAV_NOT_POSITIVE),
        (any(map(scenario.is_missing, returns)), Outcome.MISSING_RETURNS),
        (len(set(returns)) == 1, Outcome.NO_VARIANCE),
    ):
        if holds:
            return outcome, None
    seen = _seen(world, values)
    slope = tail.covariance(returns, seen) / tail.covariance(returns, returns)
    return _finite(slope / nav)


def _roughness(world, book, index):
    """Return the effect of rounding of the returns on a slope on those of one instrument."""
    times = scenario.observed(world.values(book), world.panel, world.n_observations)
    returns = [world.panel[index][t] for t in times]
    return 1.0 / tail.covariance(returns, returns)


def _of_marginal(returns, seen, scale):
    if any(map(scenario.is_missing, returns)):
        return Outcome.MISSING_RETURNS, None
    spread = tail.standard_deviation(seen)
    return Outcome.OK, scale * tail.covariance(returns, seen) / spread if spread else 0.0


def _seen(world, values):
    pnl = scenario.profit_and_loss(values, world.panel, world.n_observations)
    return [p for p in pnl if p is not None]


def _of_history(name, settings, values, pnl):
    confidence, reference = name.confidence or settings.confidence, OF_HISTORY[name.name]
    pnl = reference.reads(pnl, settings)
    if len(pnl) < reference.n_required(confidence, settings.outcome_days):
        return Outcome.WINDOW_TOO_SHORT, None
    if settings.outcome_days > 1 and not reference.of_sums and exposure.gross_exposure(values):
        return Outcome.OVERLAPPING, None
    value = reference.value(pnl, confidence, settings)
    if value is None and not exposure.gross_exposure(values):
        value = 0.0
    outcome = Outcome[reference.reason(pnl, value).upper()]
    return outcome, None if value is None else value * root_of_time(settings)


@given(worlds(), settings)
def test_every_measure_agrees_with_its_reference(world, settings):
    """Value and outcome agree; returns may be missing, navs unknown and books empty."""
    columns = compute(world.block, world.market, EVERYTHING, settings)
    by_day, world = world, over_the_horizon(world, settings)

    assert list(columns) == list(EVERYTHING)
    for row, book in enumerate(world.books):
        for name, column in columns.items():
            past = by_day if name.definition.by_path or "stress" in name.name else world
            if not any(is_open(past, book) for is_open in _UNDECIDED.get(name.name, ())):
                found = Outcome(column.outcomes[row]), column.values[row]
                _assert_agrees(past, book, name, settings, *found)


def _assert_agrees(world, book, name, settings, found, number):
    size = exposure.gross_exposure(world.values(book))
    outcome, value = expected_of(world, book, name, settings)
    if found is Outcome.ILL_CONDITIONED and outcome is Outcome.OK:
        assert _is_hardly_determined(world, book, name), str(name)
        return
    assert outcome is found or _is_sign_of_zero(outcome, found, value, size), str(name)
    if value is None:
        assert np.isnan(number), str(name)
        return
    scale = _scale_of(world, book, name, settings, value)
    assert abs(number - value) <= MINUTE * scale + SUBNORMAL, str(name)


def _scale_of(world, book, name, settings, value):
    size = exposure.gross_exposure(world.values(book))
    if name.name == "gross_leverage" and value:
        return value * (1 + value)
    if name.name == "beta":
        rough = _roughness(world, book, int(name.item[1:]))
        return size * settings.outcome_days**2 * rough / _nav_of(book, world.values(book))
    if name.definition.unit != "ccy":
        return reach_of(settings)
    if name.definition.by_path:
        # The rounding of a variance is squared, because a window may have fewer days than the
        # book has positions.
        return 1e6 * size * math.sqrt(settings.horizon_days)
    return size * reach_of(settings)


def _nav_is_rounding(world, book):
    """Whether the nav is 0 up to rounding, so that its sign is not certain."""
    if book.nav is not None or book.cash is None:
        return False
    values = world.values(book)
    nav = exposure.market_value(values) + book.cash
    return 0 < abs(nav) <= MINUTE * exposure.gross_exposure(values)


def _has_dust(world, book):
    """Whether squares of a position vanish beside those of another one.

    The reference does not ignore them and draws another sample of the same distribution.
    """
    sizes = [abs(value) for _, value in world.values(book) if value]
    return bool(sizes) and min(sizes) < 1e-150 * max(sizes)


def _is_at_the_edge(world, book):
    """Whether rounding decides if the expansion applies: at its domain's edge, or near 0."""
    pnl = scenario.profit_and_loss(world.values(book), world.panel, world.n_observations)
    pnl = [p for p in pnl if p is not None]
    size = exposure.gross_exposure(world.values(book))
    if size and moments.moments(pnl)[1] <= 1e-9 * size:
        return True
    return bool(size) and abs(moments.domain_margin(pnl)) <= 1e-9


#: cases in which rounding decides between two correct answers
_UNDECIDED = {
    "gross_leverage": [_nav_is_rounding],
    "cornish_fisher_value_at_risk": [_is_at_the_edge],
    "monte_carlo_value_at_risk": [_has_dust],
    "monte_carlo_expected_shortfall": [_has_dust],
}


def _is_hardly_determined(world, book, name):
    """Whether a standard deviation by which `name` divides is tiny beside the returns it is of."""
    assert name.name in {"marginal_value_at_risk", "component_value_at_risk", "beta"}
    values = world.values(book)
    times = scenario.observed(values, world.panel, world.n_observations)
    series = [(_seen(world, values), exposure.gross_exposure(values))]
    if name.name == "beta":
        returns = [world.panel[int(name.item[1:])][t] for t in times]
        series.append((returns, 1.0))
    widest = max(abs(one) for row in world.panel for one in row if not math.isnan(one))
    return any(tail.standard_deviation(of) <= 1e-4 * size * widest for of, size in series)


def _is_sign_of_zero(outcome, found, value, size):
    """Whether a VaR is 0 up to rounding, so that its sign is not certain."""
    gains = {Outcome.NEGATIVE_VAR, Outcome.NEGATIVE_ES}
    return (
        len({outcome, found} & gains) == 1
        and Outcome.OK in {outcome, found}
        and abs(value) <= MINUTE * size
    )


@given(worlds(min_books=2), settings, st.randoms(use_true_random=False))
def test_a_portfolio_has_the_same_bits_alone_and_in_a_block_in_any_order(world, settings, random):
    """Results do not depend on other portfolios, the row, or earlier computations."""
    market = world.market
    together = compute(world.block, market, EVERYTHING, settings)
    order = random.sample(range(len(world.books)), len(world.books))
    shuffled = compute(block_of([world.books[i] for i in order]), market, EVERYTHING, settings)

    for shuffled_row, row in enumerate(order):
        alone = compute(world.block.row(row), market, EVERYTHING, settings)
        assert bits(alone, 0) == bits(together, row) == bits(shuffled, shuffled_row)


@how_many(max_examples=30)
@given(worlds(min_books=1), settings)
def test_a_measure_has_the_same_bits_alone_and_beside_all_others(world, settings):
    """Shared intermediate results do not depend on the requested measures."""
    market = world.market
    together = compute(world.block, market, EVERYTHING, settings)

    for name in EVERYTHING:
        alone = compute(world.block, market, [name], settings)
        assert bits(alone, 0)[str(name)] == bits(together, 0)[str(name)]


@how_many(max_examples=30)
@given(worlds(min_books=1), settings, st.data())
def test_a_position_of_quantity_0_changes_nothing(world, settings, data):
    """All bits are equal; the instrument has no returns, no shock, and a high price."""
    zero = data.draw(st.sampled_from([0.0, -0.0]))
    absent = len(world.prices)
    wider = replace(
        world,
        books=[],
        prices=[*world.prices, 1e9],
        panel=[*world.panel, [NAN] * world.n_observations],
    )
    widened = []
    for book in world.books:
        index = data.draw(st.integers(0, len(book.positions)))
        held = [*book.positions[:index], (absent, zero), *book.positions[index:]]
        widened.append(Book(held, book.cash, book.nav))

    market = wider.market
    without = compute(world.block, market, EVERYTHING, settings)
    beside = compute(block_of(widened), market, EVERYTHING, settings)

    for row in range(len(world.books)):
        assert bits(beside, row) == bits(without, row)


@how_many(max_examples=30)
@given(worlds(min_books=1), settings)
def test_a_longer_horizon_scales_risk_by_the_root_of_time_and_nothing_else(world, settings):
    """Exposures do not depend on the horizon."""
    settings = replace(settings, horizon_rule="sqrt_time")
    one_day = replace(settings, horizon_days=1)
    root = math.sqrt(settings.horizon_days)
    market = world.market
    short = compute(world.block, market, EVERYTHING, one_day)
    long = compute(world.block, market, EVERYTHING, settings)

    for name in EVERYTHING:
        factor = root if name.name in OF_PAST - {"beta"} else 1.0
        np.testing.assert_allclose(
            long[name].values, short[name].values * factor, rtol=1e-15, atol=SUBNORMAL
        )
        np.testing.assert_array_equal(long[name].outcomes, short[name].outcomes)


@how_many(max_examples=30)
@given(worlds(min_books=1, min_observations=1), settings)
def test_expected_shortfall_is_never_below_value_at_risk(world, settings):
    """Each loss in its average is at least the VaR, also after rounding."""
    one_day = MeasureSettings(settings.confidence, 1, "conservative")
    for confidence in ("0.5", "0.6", "0.75", "0.9", "0.95"):
        names = [
            MeasureName("value_at_risk", confidence),
            MeasureName("expected_shortfall", confidence),
        ]
        var, shortfall = compute(world.block, world.market, names, one_day).values()

        assert (shortfall.is_ok == var.is_ok).all()
        assert (shortfall.values[var.is_ok] >= var.values[var.is_ok]).all()


@how_many(max_examples=30)
@given(worlds(min_books=1), settings)
def test_without_ageing_the_age_weighted_var_is_the_conservative_one(world, settings):
    """The bits are equal, also if n alpha is an integer."""
    settings = replace(settings, age_decay=1.0, var_convention="conservative")
    for confidence in ("0.5", "0.7", "0.75", "0.9", "0.93", "0.95"):
        names = [MeasureName(f"{kind}value_at_risk", confidence) for kind in ("", "age_weighted_")]
        plain, aged = compute(world.block, world.market, names, settings).values()

        assert aged.values.tobytes() == plain.values.tobytes()
        assert aged.outcomes.tolist() == plain.outcomes.tolist()


def test_a_part_of_the_shortfall_has_the_same_bits_beside_books_with_more_observations():
    """The order of summation in one book does not depend on the tails of others."""
    panel = panel_of(7, (6, 1_000), 0.01)
    books = [Book([(0, 17.0)]), *(Book([(i, 3.0 + i + b) for i in range(6)]) for b in range(20))]
    world = World(books, [1.0] * 6, panel)
    name = MeasureName("component_expected_shortfall", item="I0")
    together = compute(world.block, world.market, [name], MeasureSettings("0.95"))

    for row in range(len(books)):
        alone = compute(world.block.row(row), world.market, [name], MeasureSettings("0.95"))
        assert bits(alone, 0) == bits(together, row)


def test_a_confidence_that_rounds_to_1_has_a_quantile():
    """The quantile is computed from the tail probability; the block does not fail."""
    world = flat_world(100, Book([(0, 1.0)]))
    names = [MeasureName.parse(f"parametric_value_at_risk@0.{'9' * 20}")]
    names.append(MeasureName("component_value_at_risk", item="I0"))
    settings = MeasureSettings("0." + "9" * 20)

    columns = compute(world.block, world.market, names, settings)

    values = [column.values[0] for column in columns.values()]
    spread = compute(world.block, world.market, [MeasureName("volatility")], settings)
    deviation = spread[MeasureName("volatility")].values[0]
    assert values == pytest.approx([9.262340089798408 * deviation] * 2, rel=1e-9)


def flat_world(n_observations, *books, n_missing=0, scenarios=None):
    """Return a world of two instruments at a price of 1 that rise and fall in turn."""
    steps = [(-1) ** t * (t + 1) / 1024 for t in range(n_observations)]
    gaps = [NAN] * n_missing + steps[n_missing:]
    return World(list(books), [1.0, 1.0], [steps, gaps], scenarios or {})


def outcomes(world, *names, settings=None):
    """Return by name the outcomes of all rows."""
    columns = compute(
        world.block,
        world.market,
        [MeasureName.parse(name) for name in names],
        settings or MeasureSettings(),
    )
    return {str(name): [Outcome(o) for o in column.outcomes] for name, column in columns.items()}


TAIL = (
    "value_at_risk",
    "expected_shortfall",
    "age_weighted_value_at_risk",
    "filtered_value_at_risk",
)
WINDOWS = [
    ("0.99", 99, Outcome.WINDOW_TOO_SHORT),
    ("0.99", 100, Outcome.OK),
    ("0.95", 19, Outcome.WINDOW_TOO_SHORT),
    ("0.95", 20, Outcome.OK),
    ("0.9", 9, Outcome.WINDOW_TOO_SHORT),
    ("0.9", 10, Outcome.OK),
    ("0.5", 1, Outcome.WINDOW_TOO_SHORT),
    ("0.5", 2, Outcome.OK),
    ("0.99", 0, Outcome.WINDOW_TOO_SHORT),
]


@pytest.mark.parametrize("convention", ["conservative", "loss_quantile", "linear"])
@pytest.mark.parametrize(("confidence", "n", "expected"), WINDOWS)
def test_a_tail_needs_enough_observations(confidence, n, expected, convention):
    """1 / (1 - confidence) observations are enough, and one less is not."""
    world = flat_world(n, Book([(0, 100.0)]))

    found = outcomes(world, *TAIL, settings=MeasureSettings(confidence, 1, convention))

    # The better of two outcomes is a gain, so that the VaR is negative.
    statuses = {name: [of.status for of in row] for name, row in found.items()}
    assert statuses == {name: [expected.status] for name in TAIL}


def test_missing_observations_are_not_counted():
    """Of 100 observations, one without a return of a held instrument leaves too few."""
    world = flat_world(
        100, Book([(1, 1.0)]), Book([(0, 1.0)]), Book([(0, 1.0), (1, 0.0)]), n_missing=1
    )

    expected = [Outcome.WINDOW_TOO_SHORT, Outcome.OK, Outcome.OK]
    found = outcomes(world, *TAIL)

    assert [found[name] for name in TAIL] == [expected] * len(TAIL)


def test_the_confidence_of_the_name_determines_the_required_window():
    """A qualified name has its own confidence, not that of the settings."""
    found = outcomes(flat_world(20, Book([(0, 1.0)])), "value_at_risk", "value_at_risk@0.95")

    assert found["value_at_risk"] == [Outcome.WINDOW_TOO_SHORT]
    assert found["value_at_risk@0.95"] == [Outcome.OK]


@pytest.mark.parametrize(
    ("n", "expected"),
    [(0, Outcome.WINDOW_TOO_SHORT), (1, Outcome.WINDOW_TOO_SHORT), (2, Outcome.OK)],
)
def test_a_spread_needs_two_observations(n, expected):
    """The denominator n - 1 is 0 for one observation."""
    names = (
        "volatility",
        "parametric_value_at_risk",
        "student_value_at_risk",
        "student_expected_shortfall",
        "ewma_volatility",
        "cornish_fisher_value_at_risk",
    )

    found = outcomes(flat_world(n, Book([(0, 1.0)])), *names)

    # The expansion needs more than two outcomes.
    found = {
        name: [
            Outcome.OK if outcome is Outcome.OUTSIDE_DOMAIN else outcome for outcome in found[name]
        ]
        for name in names
    }
    assert found == {name: [expected] for name in names}


NAVS = [
    (Book([(0, 100.0)]), Outcome.NAV_UNKNOWN, None),
    (Book([(0, 100.0)], cash=100.0), Outcome.OK, 0.5),
    (Book([(0, 100.0)], nav=50.0), Outcome.OK, 2.0),
    (Book([(0, 100.0)], cash=1.0, nav=50.0), Outcome.OK, 2.0),
    (Book([(0, 100.0)], nav=0.0), Outcome.NAV_NOT_POSITIVE, None),
    (Book([(0, 100.0)], nav=-0.0), Outcome.NAV_NOT_POSITIVE, None),
    (Book([(0, 100.0)], nav=-50.0), Outcome.NAV_NOT_POSITIVE, None),
    (Book([(0, 100.0)], cash=-100.0), Outcome.NAV_NOT_POSITIVE, None),
    (Book([(0, 100.0)], cash=-150.0), Outcome.NAV_NOT_POSITIVE, None),
    (Book([(0, -100.0)], cash=150.0), Outcome.OK, 2.0),
    (Book([(0, 100.0)], nav=5e-324), Outcome.NOT_FINITE, None),
    (Book([]), Outcome.NAV_UNKNOWN, None),
    (Book([], cash=0.0), Outcome.NAV_NOT_POSITIVE, None),
    (Book([], cash=5.0), Outcome.ZERO_GROSS, 0.0),
    (Book([], nav=5.0), Outcome.ZERO_GROSS, 0.0),
    (Book([(0, 0.0)], nav=5.0), Outcome.ZERO_GROSS, 0.0),
]


@pytest.mark.parametrize(("book", "expected", "value"), NAVS)
def test_leverage_is_undefined_where_the_net_asset_value_is_unknown_or_not_positive(
    book, expected, value
):
    """A given nav is used, else market value plus cash; a nav of 0 is not valid."""
    name = MeasureName("gross_leverage")
    world = flat_world(0, book)

    column = compute(world.block, world.market, [name], MeasureSettings())[name]

    assert Outcome(column.outcomes[0]) is expected
    np.testing.assert_array_equal(column.values, [NAN if value is None else value])


STRESSES = [
    ("some", Book([(0, 100.0)]), Outcome.OK, 50.0),
    ("some", Book([(0, 100.0), (1, 0.0)]), Outcome.OK, 50.0),
    ("some", Book([(0, 100.0), (1, 5.0)]), Outcome.NOT_IN_SCENARIO, None),
    ("some", Book([(1, 5.0)]), Outcome.NOT_IN_SCENARIO, None),
    ("some", Book([]), Outcome.NO_EXPOSURE, 0.0),
    ("all", Book([(0, 100.0), (1, -8.0)]), Outcome.OK, 48.0),
    ("all", Book([(1, -8.0)]), Outcome.NO_EXPOSURE, -2.0),
    ("all", Book([(0, 0.0), (1, 8.0)]), Outcome.NO_EXPOSURE, 2.0),
    ("none", Book([(0, 100.0)]), Outcome.UNKNOWN_SCENARIO, None),
    ("none", Book([]), Outcome.UNKNOWN_SCENARIO, None),
]


@pytest.mark.parametrize(("scenario", "book", "expected", "value"), STRESSES)
def test_a_stress_loss_is_undefined_without_a_shock_of_every_position(
    scenario, book, expected, value
):
    """A held instrument without a change in the scenario makes the loss undefined."""
    name = MeasureName("stress_loss", item=scenario)
    scenarios = {"some": ({0: -0.5}, None), "all": ({0: -0.5}, -0.25)}
    world = flat_world(0, book, scenarios=scenarios)

    column = compute(world.block, world.market, [name], MeasureSettings())[name]

    assert Outcome(column.outcomes[0]) is expected
    np.testing.assert_array_equal(column.values, [NAN if value is None else value])


def test_an_empty_book_has_zeros_without_a_sign():
    """A value is never -0. Shares of an empty book are undefined; limits read them as 0.

    `test_stress` tests the measures of a scenario on an empty book.
    """
    world = flat_world(
        100,
        Book([], cash=5.0),
        Book([(0, 0.0), (1, -0.0)], cash=5.0),
        scenarios={"fall": ({0: -0.5, 1: 0.5}, None)},
    )

    names = [name for name in ALL if name.name != "stress_coverage"]

    columns = compute(world.block, world.market, names, MeasureSettings())

    for name, column in columns.items():
        assert json.dumps(column.values.tolist()) == "[0.0, 0.0]", str(name)
        ratio = name.definition.unit != "ccy" and name.name not in {*OF_PAST, "covariance_repair"}
        expected = Outcome.ZERO_GROSS if ratio else Outcome.OK
        if name.name.endswith("stress_loss"):
            expected = Outcome.NO_EXPOSURE
        assert column.outcomes.tolist() == [expected] * 2, str(name)


def test_an_instrument_that_is_not_held_contributes_positive_zero():
    """The instrument would be a hedge of the book."""
    steps = [(-1) ** t * (t + 1) / 1024 for t in range(100)]
    world = World([Book([(0, 1.0)], nav=1.0)], [1.0, 1.0], [steps, [-step for step in steps]])
    names = [MeasureName(name.name, item="I1") for name in ALL if name.item == "I0"]

    columns = compute(world.block, world.market, names, MeasureSettings())

    signed = {"marginal_value_at_risk", "beta"}
    zeros = {str(name): column.values.tolist() for name, column in columns.items()}
    zeros = {name: row for name, row in zeros.items() if name.split(":")[0] not in signed}
    assert json.dumps(sorted(zeros.values())) == "[[0.0], [0.0], [0.0]]"


@pytest.mark.parametrize("kind", ["", "age_weighted_", "filtered_"])
def test_a_book_that_gains_even_in_its_tail_has_a_negative_value_at_risk(kind):
    """The value is not cut off at 0."""
    world = World([Book([(0, 100.0)]), Book([(0, -100.0)])], [1.0], [[0.25] * 100])
    name = MeasureName(f"{kind}value_at_risk")

    column = compute(world.block, world.market, [name], MeasureSettings())[name]

    assert column.values.tolist() == [-25.0, 25.0]
    assert column.outcomes.tolist() == [Outcome.NEGATIVE_VAR, Outcome.OK]


def test_a_filtered_value_at_risk_counts_only_scalable_outcomes():
    """A forecast volatility of 0 makes only the next nonzero outcome unscalable."""
    calm = [0.0] * 30
    fell, still = [-0.5, *calm, -0.25], [-0.5, *calm, 0.0]
    worlds = [World([Book([(0, 8.0)])], [1.0], [moves]) for moves in (fell, still)]
    name = MeasureName("filtered_value_at_risk", confidence=str(1 - 1 / Decimal(32)))
    settings = MeasureSettings(decay=1e-30)

    columns = [compute(world.block, world.market, [name], settings)[name] for world in worlds]

    assert [Outcome(column.outcomes[0]) for column in columns] == [
        Outcome.WINDOW_TOO_SHORT,
        Outcome.OK,
    ]
    assert columns[1].values.tolist() == [0.0]


huge = st.sampled_from([1e300, -1e300, 1e308, -1e308, 1.5e154, 1e150, -1e160]) | st.floats(
    allow_nan=False, allow_infinity=False
)


@given(worlds(min_books=1, quantity=huge, price=huge), settings)
def test_a_measure_that_overflows_is_never_a_number(world, settings):
    """There is no exception; an `ok` value is finite; no share is wrong."""
    columns = compute(world.block, world.market, EVERYTHING, settings)

    for name, column in columns.items():
        assert np.isfinite(column.values[column.is_ok]).all(), str(name)
        assert np.isfinite(column.values[column.has_value]).all(), str(name)
        assert np.isnan(column.values[~column.has_value]).all(), str(name)
    for name in ("concentration", "herfindahl"):
        column = columns[MeasureName(name)]
        for row, book in enumerate(world.books):
            if column.is_ok[row]:
                n = len(book.positions)
                assert 1 / n - MINUTE <= column.values[row] <= 1 + MINUTE


OVERFLOWS = [
    # the sum of two finite values
    (Book([(0, 1e308), (1, 1e308)], nav=1.0), [1.0, 1.0]),
    # one value of finite quantity and price
    (Book([(0, 1e300), (1, 1.0)], nav=1.0), [1e300, 1.0]),
    (Book([(0, -1e300), (1, 1e300)], nav=1.0), [1e300, 1e300]),
]


@pytest.mark.parametrize(("book", "worth"), OVERFLOWS)
def test_a_book_that_overflows_has_no_measure(book, worth):
    """A concentration of 0 would pass a limit on concentrated books."""
    steps = [(-1) ** t / 64 for t in range(100)]
    world = World([book], worth, [steps, steps], {"fall": ({0: -0.5, 1: -0.5}, None)})
    excluded = {"long_exposure", "short_exposure", "covariance_repair"}
    names = [name for name in ALL if name.name not in excluded]

    columns = compute(world.block, world.market, names, MeasureSettings())

    found = {str(name): Outcome(column.outcomes[0]).name for name, column in columns.items()}
    assert found == {str(name): "NOT_FINITE" for name in names}


def test_a_net_asset_value_that_overflows_gives_no_leverage():
    """A leverage of 0 would pass every limit."""
    name = MeasureName("gross_leverage")
    world = flat_world(0, Book([(0, 1e308)], cash=1e308))

    column = compute(world.block, world.market, [name], MeasureSettings())[name]

    assert Outcome(column.outcomes[0]) is Outcome.NOT_FINITE


def test_a_book_whose_pnl_cannot_be_squared_has_exposures_but_no_risk():
    """The exposures of such a book are finite; its volatility is undefined."""
    world = flat_world(100, Book([(0, 1e200)]))

    columns = compute(world.block, world.market, BUT_STRESS, MeasureSettings())

    for name, column in columns.items():
        risk = name.name in OF_PAST
        leverage = Outcome.NAV_UNKNOWN if name.name == "gross_leverage" else Outcome.OK
        assert Outcome(column.outcomes[0]) is (Outcome.NOT_FINITE if risk else leverage), str(name)


def test_large_returns_overflow_like_large_books():
    """The P&L is squared, not the exposure."""
    world = World([Book([(0, 1.0)])], [1.0], [[1e200, -1.0] * 50])

    assert outcomes(world, "volatility", "value_at_risk", "gross_exposure") == {
        "volatility": [Outcome.NOT_FINITE],
        "value_at_risk": [Outcome.NOT_FINITE],
        "gross_exposure": [Outcome.OK],
    }


def test_markets_with_the_same_panel_share_it():
    """A market with new prices shares the returns; one with another panel does not."""
    world = flat_world(5, scenarios={"fall": ({0: -0.5}, None)})
    first = world.market
    marked = world.snapshot.with_prices(np.array([3.0, 4.0]), as_of=first.as_of)
    other = flat_world(6).snapshot

    assert MarketArrays.of(marked, like=first).panel is first.panel
    assert MarketArrays.of(marked, like=first).prices.tolist() == [3.0, 4.0]
    assert MarketArrays.of(marked, like=first).id == marked.id
    assert MarketArrays.of(other, like=first).panel.shape == (2, 6)
    assert MarketArrays.of(marked).panel.tolist() == first.panel.tolist()


def test_a_market_is_laid_out_by_instrument():
    """Shocks of instruments that the market does not have are ignored."""
    world = World([], [1.0, 2.0], [[0.5, NAN], [-0.75, 0.25]], {"fall": ({0: -0.5, 7: 1.0}, 0.125)})

    market = world.market

    np.testing.assert_array_equal(market.panel, [[0.5, NAN], [-0.75, 0.25]])
    assert market.panel.flags.c_contiguous
    assert market.largest_return == 0.75
    assert market.n_observations == 2
    assert dict(market.index) == {"I0": 0, "I1": 1}
    assert market.scenarios["fall"].change.tolist() == [-0.5, 0.125]
    assert market.scenarios["fall"].named.tolist() == [True, False]
    assert flat_world(0).market.largest_return == 0.0
