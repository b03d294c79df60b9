"""Scenarios: absolute moves, shocks by tag, and replays with their coverage."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.engine import compute, contributions
from risk_tasks.engine.market import window_returns
from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.scenario import Replay, Scenario
from tests.reference import scenario as naive
from tests.unit.engine.books import NAN, Book, World

DAYS = [date(2024, 3, 4) + timedelta(n) for n in range(4)]


def world_of(book, scenario, *, prices=(10.0, 20.0), panel=((0.5,) * 4, (-0.5,) * 4), tags=None):
    """Return one book in a market with one scenario."""
    more = {"s": scenario} if scenario else {}
    return World([book], list(prices), [list(of) for of in panel], {}, more, DAYS, tags or {})


def result_of(world, measure="stress_loss", item="s"):
    """Return the outcome and the value of a measure of the only book."""
    name = MeasureName(measure, item=item)
    column = compute(world.block, world.market, [name], MeasureSettings())[name]
    return Outcome(column.outcomes[0]), float(column.values[0])


def test_an_absolute_move_is_lost_per_unit_at_any_price():
    """The loss of a long position is the fall of the price, even at a price of 0."""
    fall = Scenario({}, moves={"I0": -3.0, "I1": -3.0})

    for prices in ((10.0, 20.0), (0.0, 0.0), (-37.63, 1e-300)):
        world = world_of(Book([(0, 5.0), (1, -2.0)]), fall, prices=prices)
        assert result_of(world) == (Outcome.OK, 9.0)


def test_a_relative_shock_of_a_position_worth_0_is_0():
    """It counts as not held, so it needs no shock in the scenario."""
    world = world_of(Book([(0, 5.0)]), Scenario({"I0": -0.5}), prices=(0.0, 20.0))

    assert result_of(world) == (Outcome.NO_EXPOSURE, 0.0)
    assert result_of(world_of(Book([(0, 5.0)]), Scenario({}), prices=(0.0, 1.0))) == (
        Outcome.NO_EXPOSURE,
        0.0,
    )


def test_a_named_shock_precedes_a_tag_and_a_tag_precedes_others():
    """Each instrument uses its most specific shock."""
    scenario = Scenario(
        {"I0": -0.5}, moves={"I1": 1.0}, by_tag={"sector": {"tech": 0.25}}, others=0.125
    )
    tags = {f"I{i}": {"sector": "tech"} for i in range(3)} | {"I3": {"sector": "oil"}}
    world = World([], [16.0] * 4, [[]] * 4, {}, {"s": scenario}, [], tags)

    arrays = world.market.scenarios["s"]

    assert arrays.change.tolist() == [-0.5, 1.0, 0.25, 0.125]
    assert arrays.absolute.tolist() == [False, True, False, False]
    assert arrays.named.tolist() == [True, True, True, False]
    assert arrays.covered.all()


def test_parts_of_a_scenario_of_every_kind_sum_to_its_loss():
    """A move is per unit, a shock per value."""
    scenario = Scenario({"I0": -0.5}, moves={"I1": -3.0})
    world = world_of(Book([(0, 4.0), (1, 2.0)]), scenario)
    name = MeasureName("stress_loss", item="s")

    parts = contributions(world.block, world.market, name, MeasureSettings(), 0)

    assert parts.tolist() == [20.0, 6.0]
    assert result_of(world) == (Outcome.OK, 26.0)


def test_a_replay_compounds_the_returns_of_its_window():
    """The return from the second to the third day is 1.5 x 1.5 - 1, on current positions."""
    replay = Replay(DAYS[1], DAYS[2])

    assert result_of(world_of(Book([(0, 4.0)]), replay)) == (Outcome.OK, -50.0)
    assert result_of(world_of(Book([(1, 4.0)]), replay)) == (Outcome.OK, 60.0)


GAP = ((0.5, NAN, 0.5, 0.5), (-0.5,) * 4)
#: 30 of I0, without a return on the second day, and 90 of I1, which halved twice
BOOK = Book([(0, 3.0), (1, 4.5)])
COVERAGES = [
    (Replay(DAYS[2], DAYS[3]), Outcome.OK, 30 * -1.25 + 90 * 0.75, 1.0),
    (Replay(DAYS[1], DAYS[2]), Outcome.NOT_IN_SCENARIO, None, 0.75),
    (
        Replay(DAYS[1], DAYS[2], min_coverage=0.75, others=-0.5),
        Outcome.PARTLY_COVERED,
        30 * 0.5 + 90 * 0.75,
        0.75,
    ),
    (
        Replay(DAYS[1], DAYS[2], min_coverage=0.7500001, others=-0.5),
        Outcome.NOT_IN_SCENARIO,
        None,
        0.75,
    ),
    # before the first date, after the last, and a window without an observation
    (Replay(DAYS[0] - timedelta(1), DAYS[3]), Outcome.NOT_IN_SCENARIO, None, 0.0),
    (Replay(DAYS[2], DAYS[3] + timedelta(1)), Outcome.NOT_IN_SCENARIO, None, 0.0),
    (Replay(date(1999, 1, 1), date(1999, 2, 1)), Outcome.NOT_IN_SCENARIO, None, 0.0),
    (
        Replay(date(1999, 1, 1), date(1999, 2, 1), min_coverage=0, others=-0.5),
        Outcome.PARTLY_COVERED,
        60.0,
        0.0,
    ),
]


@pytest.mark.parametrize(("replay", "outcome", "loss", "share"), COVERAGES)
def test_a_replay_reports_its_loss_and_its_coverage(replay, outcome, loss, share):
    """The loss is undefined below the minimum coverage; above, the rest has the fallback."""
    world = world_of(BOOK, replay, panel=GAP)

    assert result_of(world, "stress_coverage") == (Outcome.OK, share)
    found, value = result_of(world)
    assert found is outcome
    assert np.isnan(value) if loss is None else value == loss


def test_a_missing_return_of_an_instrument_that_is_not_held_does_not_matter():
    """Coverage is a share of the book, not of the market."""
    replay = Replay(DAYS[0], DAYS[3], min_coverage=0.5, others=9.0)
    world = world_of(Book([(0, 0.0), (1, -1.0)]), replay, panel=GAP)

    assert result_of(world) == (Outcome.OK, -20.0 * (1 - 0.5**4))
    assert result_of(world, "stress_coverage") == (Outcome.OK, 1.0)


def test_a_window_between_two_dates_covers_nothing():
    """An empty window does not have a return of 0."""
    world = world_of(Book([(0, 1.0)]), Replay(date(2024, 3, 9), date(2024, 3, 10)))
    world.dates[3] = date(2024, 3, 11)

    assert result_of(world)[0] is Outcome.NOT_IN_SCENARIO


def test_an_empty_book_is_covered_and_loses_0():
    """It does not break a minimum limit on the coverage."""
    world = world_of(Book([]), Replay(date(1999, 1, 1), date(1999, 2, 1)))

    assert result_of(world) == (Outcome.NO_EXPOSURE, 0.0)
    assert result_of(world, "stress_coverage") == (Outcome.NO_EXPOSURE, 1.0)


def test_the_worst_stress_loss_has_the_worst_status_of_all_scenarios():
    """A partly covered scenario might be the worst one."""
    replay = Replay(DAYS[1], DAYS[2], min_coverage=0.5, others=0.0)
    world = world_of(BOOK, replay, panel=GAP)
    world.more["flood"] = Scenario({}, others=-0.9)

    assert result_of(world, "worst_stress_loss", None) == (
        Outcome.PARTLY_COVERED,
        pytest.approx(108.0),
    )


def test_parts_of_a_coverage_are_the_covered_shares():
    """They sum to the coverage."""
    world = world_of(BOOK, Replay(DAYS[1], DAYS[2]), panel=GAP)
    name = MeasureName("stress_coverage", item="s")

    parts = contributions(world.block, world.market, name, MeasureSettings(), 0)

    assert parts.tolist() == [0.0, 0.75]


def test_a_return_that_overflows_is_not_covered():
    """An infinite loss is not valid."""
    world = world_of(Book([(0, 1.0)]), Replay(DAYS[0], DAYS[3]), panel=((1e300,) * 4, (0.0,) * 4))

    assert result_of(world)[0] is Outcome.NOT_IN_SCENARIO
    assert result_of(world, "stress_coverage") == (Outcome.OK, 0.0)


def test_a_loss_that_overflows_is_undefined():
    """Neither the loss of a book nor that of a move is defined."""
    move = Scenario({}, moves={"I0": -1e300})

    assert (
        result_of(world_of(Book([(0, 1e300)]), move, prices=(1e-9, 1.0)))[0] is Outcome.NOT_FINITE
    )


steps = st.integers(-32, 32).map(lambda parts: parts / 32) | st.floats(-1.5, 1.5) | st.just(NAN)


@given(
    st.lists(st.lists(steps, min_size=6, max_size=6), min_size=1, max_size=5),
    st.integers(-1, 7),
    st.integers(-1, 7),
)
def test_window_returns_agree_with_their_twin_alone_and_beside_others(rows, a, b):
    """The bits are equal; returns may be missing, and windows are anywhere."""
    dates = np.array([DAYS[0] + timedelta(2 * n) for n in range(6)], dtype="datetime64[D]")
    start, end = (DAYS[0] + timedelta(2 * n) for n in sorted((a, b)))
    panel = np.array(rows).T.copy()

    found = window_returns(panel, dates, start, end)

    for place, row in enumerate(rows):
        expected = naive.window_return(row, dates.tolist(), start, end)
        alone = window_returns(panel[:, [place]].copy(), dates, start, end)
        assert alone.tobytes() == found[[place]].tobytes()
        np.testing.assert_allclose(
            found[place], NAN if expected is None else expected, 1e-12, 1e-12
        )


def test_a_window_of_a_year_has_the_same_bits_alone_and_beside_others():
    """The result does not depend on how NumPy orders a product."""
    panel = np.random.default_rng(3).normal(0.0, 0.02, (250, 5))
    dates = np.datetime64(DAYS[0]) + np.arange(250)
    together = window_returns(panel, dates, DAYS[0], DAYS[0] + timedelta(249))

    for place in range(5):
        alone = window_returns(panel[:, [place]].copy(), dates, DAYS[0], DAYS[0] + timedelta(249))
        assert alone.tobytes() == together[[place]].tobytes()
