"""Headroom, compared with checks of the traded book and with a search."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, reject
from hypothesis import settings as how_many
from hypothesis import strategies as st

from risk_tasks.engine import BOUNDED, compute
from risk_tasks.errors import InvalidLimitError
from risk_tasks.model.limits import Comparison, Limit, LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.registry import MEASURES
from risk_tasks.model.report import Explanation, LimitUse
from risk_tasks.model.scenario import Scenario
from risk_tasks.wire.request import Detail
from tests.reference.decisions import passes
from tests.reference.headroom import first_break
from tests.unit.engine.books import (
    Book,
    World,
    block_of,
    over_the_horizon,
    panel_of,
    settings,
    worlds,
)
from tests.unit.engine.test_compute import expected_of
from tests.unit.service.support import make_market, make_service, report_of

NAMES = [
    *(MeasureName(name) for name in MEASURES if name in BOUNDED and name != "stress_loss"),
    MeasureName("value_at_risk", confidence="0.6"),
    MeasureName("expected_shortfall", confidence="0.6"),
    MeasureName("parametric_value_at_risk", confidence="0.3"),
    MeasureName("stress_loss", item="fall"),
    MeasureName("stress_loss", item="guess"),
]
#: also those of scenarios that exist only in generated worlds
DRAWN = [
    *NAMES,
    MeasureName("stress_loss", item="mixed"),
    MeasureName("stress_loss", item="replay"),
]
SCENARIOS = {"fall": ({0: -0.5, 1: 0.25, 2: -0.125}, None), "guess": ({1: -0.5}, 0.25)}
#: prices that are 0, or large enough to affect a book
prices = st.integers(0, 40).map(lambda quarters: quarters / 4) | st.floats(-10, 1e3).filter(
    lambda price: abs(price) > 1e-3
)


def explained(world, book, limits, measure_settings=None, tags=None):
    """Return the report of `book` with its explanation, after encoding and decoding."""
    positions = {f"I{i}": quantity for i, quantity in book.positions}
    portfolio = Portfolio("p", positions, cash=book.cash, nav=book.nav, tags=tags or {})
    return report_of(
        portfolio,
        service=make_service(markets=[world.snapshot]),
        market=world.snapshot.id,
        measures=[],
        settings=measure_settings,
        limits=LimitSet("s", limits),
        detail=Detail.EXPLAINED,
    )


def traded(book, i, quantity):
    """Return `book` with `quantity` more of the position `i`."""
    positions = [
        (name, held + quantity if at == i else held)
        for at, (name, held) in enumerate(book.positions)
    ]
    return replace(book, positions=positions)


def legs_of(explanation, book):
    """Yield index, sign, headroom and binding limit of each position, bought and sold."""
    assert len(explanation.headroom) == len(book.positions)
    for i, room in enumerate(explanation.headroom):
        assert room.instrument == f"I{book.positions[i][0]}"
        yield i, 1.0, room.buy, room.buy_bound_by
        yield i, -1.0, room.sell, room.sell_bound_by


@st.composite
def cases(draw):
    """A book that passes up to three hard limits, some of them narrowly."""
    world = draw(worlds(min_books=1, min_observations=2, price=prices))
    book, chosen = world.books[0], draw(settings)
    assume(book.positions)
    limits = []
    names = draw(st.lists(st.sampled_from(DRAWN), min_size=1, max_size=3, unique=True))
    columns = compute(block_of([book]), world.market, names, chosen)
    for name in names:
        if not columns[name].has_value[0]:
            continue
        value = float(columns[name].values[0])
        comparison = draw(st.sampled_from(list(Comparison)))
        margin = draw(st.sampled_from([0.0, 0.01, 0.5, 3.0])) * (abs(value) or 1.0)
        threshold = {
            Comparison.ABOVE: value + margin,
            Comparison.BELOW: value - margin,
            Comparison.ABSOLUTE: abs(value) + margin,
        }[comparison]
        # A threshold that no value can pass is refused.
        with suppress(InvalidLimitError):
            limits.append(Limit(str(name), hard=threshold, comparison=comparison))
    assume(limits)
    return world, book, chosen, limits


def scale_of(world, book, i):
    """Return the value of the book in units of a position, and the position itself."""
    price = abs(world.prices[book.positions[i][0]])
    gross = sum(abs(value) for _, value in world.values(book))
    return abs(book.positions[i][1]) + (gross / price if price else 0.0) + 1.0


def broken(world, book, limits, chosen):
    """Return whether the engine finds any of `limits` broken or undefined."""
    names = [limit.measure_name for limit in limits]
    columns = compute(block_of([book]), world.market, names, chosen)
    for limit, name in zip(limits, names, strict=True):
        if not columns[name].has_value[0]:
            return True
        rule = {"comparison": limit.comparison}
        if passes(rule, float(columns[name].values[0]), limit.hard):
            return True
    return False


@st.composite
def plain_cases(draw, name):
    """Three positions of similar size, and one limit on the measure of this name."""
    amounts = st.integers(-40, 40).filter(bool).map(lambda eighths: eighths / 8)
    panel = panel_of(draw(st.integers(0, 2**32 - 1)), (3, 20), draw(st.sampled_from([0.0, 0.1])))
    book = Book([(i, draw(amounts)) for i in range(3)], nav=draw(st.sampled_from([None, 90.0])))
    if book.nav is None:
        book = replace(book, cash=200.0)
    world = World([book], [2.5, 1.0, 4.0], panel, SCENARIOS)
    chosen = replace(draw(settings), confidence="0.9")
    column = compute(world.block, world.market, [name], chosen)[name]
    assume(column.has_value[0])
    value, sign = float(column.values[0]), draw(st.sampled_from([1, -1]))
    comparison = Comparison.ABOVE if sign > 0 else Comparison.BELOW
    threshold = value + sign * draw(st.sampled_from([0.01, 0.1, 0.7])) * abs(value)
    try:
        limit = Limit(str(name), hard=threshold, comparison=comparison)
    except InvalidLimitError:
        reject()
    return world, book, chosen, [limit]


@pytest.mark.parametrize("name", NAMES, ids=str)
@how_many(max_examples=8)
@given(data=st.data())
def test_each_measure_bounds_a_trade_exactly_where_it_breaks(name, data):
    """In both directions, from both sides of zero."""
    case = data.draw(plain_cases(name))

    assert_largest(case)
    assert_none_breaks(case)


@how_many(max_examples=60)
@given(cases())
def test_the_largest_trade_passes_a_check_and_a_larger_one_does_not(case):
    """For books of any size under several limits."""
    assert_largest(case)


def assert_largest(case):
    """Exactly at the trade; beyond it as soon as the difference exceeds rounding."""
    world, book, chosen, limits = case
    explanation = explained(world, book, limits, chosen).explanation

    assert explanation.not_bounded == ()
    for i, side, q, bound_by in legs_of(explanation, book):
        if q is None:
            assert bound_by is None
            continue
        assert q >= 0.0
        assert bound_by in [limit.id for limit in limits]
        assert not broken(world, traded(book, i, side * q), limits, chosen)
        scale = scale_of(world, book, i)
        beyond = [q + (q + scale) * step for step in (1e-9, 1e-6, 1e-4, 1e-3)]
        # A position of zero needs no returns, so a measure may be discontinuous there.
        held = abs(book.positions[i][1])
        beyond += [held] if q < held else []
        assert any(
            broken(world, traded(book, i, side * more), limits, chosen) for more in beyond
        ) or _touches(world, traded(book, i, side * q), limits, chosen)


def _touches(world, book, limits, chosen):
    """Whether a limit is reached up to rounding: the measure may be constant there, or turn."""
    names = [limit.measure_name for limit in limits]
    columns = compute(block_of([book]), world.market, names, chosen)
    return any(
        abs(abs(float(columns[name].values[0])) - abs(limit.hard)) <= 1e-9 * (1 + abs(limit.hard))
        for limit, name in zip(limits, names, strict=True)
    )


def _naively_broken(world, limits, chosen, slack):
    """Return a check of books by the reference implementations, which tolerates rounding."""

    summed = over_the_horizon(world, chosen)

    def judge(book):
        for limit in limits:
            past = world if "stress" in limit.measure else summed
            outcome, value = expected_of(past, book, limit.measure_name, chosen)
            if not outcome.has_value:
                return True
            size = 1e-9 * (slack + abs(limit.hard) + abs(value))
            if {
                Comparison.ABOVE: value > limit.hard + size,
                Comparison.BELOW: value < limit.hard - size,
                Comparison.ABSOLUTE: abs(value) > limit.hard + size,
            }[limit.comparison]:
                return True
        return False

    return judge


@how_many(max_examples=30)
@given(cases())
def test_no_trade_up_to_the_largest_breaks_a_limit(case):
    assert_none_breaks(case)


def assert_none_breaks(case):
    """By the references, at many trades up to it; without a bound, at trades of any size."""
    world, book, chosen, limits = case
    explanation = explained(world, book, limits, chosen).explanation

    for i, side, q, _ in legs_of(explanation, book):
        scale = scale_of(world, book, i)
        largest = 1e4 * scale if q is None else q * (1 - 1e-9)
        turning = abs(book.positions[i][1])
        grid = [*np.linspace(0, largest, 12)[1:], *np.geomspace(1e-6, 1, 8) * largest, turning]
        # For a very large trade, the rest of the book is below the rounding error.
        judge = _naively_broken(world, limits, chosen, scale * 1e3)
        found = first_break(
            lambda more, judge=judge, i=i, side=side: judge(traded(book, i, side * more)),
            sorted(more for more in grid if 0 < more <= largest),
        )
        assert found is None, (i, side, q, found)


BOOK = Portfolio("p", {"AAPL": 100.0, "MSFT": -50.0, "XOM": 1.0}, nav=4000.0, tags={"desk": "eq"})


def explanation_of(*limits, portfolio=BOOK, **how):
    """Return the explanation of a book in the market of these tests."""
    options = {"limits": LimitSet("s", limits), "measures": [], "detail": Detail.EXPLAINED, **how}
    return report_of(portfolio, **options).explanation


def rooms(explanation):
    """Return (buy, sell) by instrument."""
    return {room.instrument: (room.buy, room.sell) for room in explanation.headroom}


def test_every_limit_that_applies_has_its_utilisation():
    """Of hard, or of warn without hard; a broken limit has its severity."""
    explanation = explanation_of(
        Limit("gross_exposure", hard=4080.0),
        Limit("net_exposure", warn=10.0, comparison="absolute"),
        Limit("long_exposure", warn=520.0, hard=1300.0),
        Limit("market_value", hard=1.0, applies_to={"desk": "fx"}),
        Limit("stress_loss:unheard of", warn=1.0),
    )

    assert explanation.limits == (
        LimitUse(
            limit="gross_exposure",
            measure="gross_exposure",
            observed=2040.0,
            warn=None,
            hard=4080.0,
            unit="ccy",
            utilisation=0.5,
            severity=None,
        ),
        LimitUse(
            limit="net_exposure",
            measure="net_exposure",
            observed=40.0,
            warn=10.0,
            hard=None,
            unit="ccy",
            utilisation=4.0,
            severity="warn",
        ),
        LimitUse(
            limit="long_exposure",
            measure="long_exposure",
            observed=1040.0,
            warn=520.0,
            hard=1300.0,
            unit="ccy",
            utilisation=0.8,
            severity="warn",
        ),
    )


def test_headroom_computed_by_hand():
    """100 at 10 and 1 at 40 long, 50 at 20 short; 2040 of gross may grow to 4080."""
    explanation = explanation_of(Limit("gross_exposure", hard=4080.0))

    assert rooms(explanation) == {
        # Sold to zero and then short: gross falls by 1000 and rises by 3040.
        "AAPL": (204.0, 404.0),
        "MSFT": (202.0, 102.0),
        "XOM": (51.0, 53.0),
    }
    assert {room.buy_bound_by for room in explanation.headroom} == {"gross_exposure"}
    assert explanation.not_bounded == ()


def test_the_first_limit_that_is_reached_is_the_binding_one():
    """It is named by its id; a trade that no limit stops has no bound."""
    explanation = explanation_of(
        Limit("long_exposure", hard=1240.0, id="long"), Limit("net_exposure", hard=140.0, id="net")
    )
    apple, microsoft, _ = explanation.headroom

    assert (apple.buy, apple.buy_bound_by) == (10.0, "net")
    assert (apple.sell, apple.sell_bound_by) == (None, None)
    assert (microsoft.buy, microsoft.buy_bound_by) == (5.0, "net")


def test_a_broken_limit_leaves_no_headroom_even_for_trades_that_reduce_it():
    """The first broken limit is named; a warning does not reduce headroom."""
    broken = explanation_of(
        Limit("net_exposure", hard=1e9), Limit("gross_exposure", hard=2000.0, id="gross")
    )
    warned = explanation_of(Limit("gross_exposure", warn=1.0))

    assert set(rooms(broken).values()) == {(0.0, 0.0)}
    assert {room.sell_bound_by for room in broken.headroom} == {"gross"}
    assert set(rooms(warned).values()) == {(None, None)}


def test_a_hard_limit_without_a_method_is_listed_as_not_bounded():
    """Also one that cannot be evaluated; if it is broken, the headroom is zero."""
    explanation = explanation_of(
        Limit("semi_deviation", hard=1e9),
        Limit("stress_loss:unheard of", hard=1.0, missing_data="skip"),
        Limit("semi_deviation", warn=1.0, id="warning"),
    )
    broken = explanation_of(Limit("semi_deviation", hard=0.0))

    assert explanation.not_bounded == ("semi_deviation", "stress_loss:unheard of")
    assert set(rooms(explanation).values()) == {(None, None)}
    assert set(rooms(broken).values()) == {(0.0, 0.0)}


def test_headroom_ends_where_a_limit_can_no_longer_be_evaluated():
    """Leverage without a positive nav ends it, for any `missing_data` of the limit."""
    book = Portfolio("p", {"AAPL": 1.0}, cash=100.0)
    explanation = explanation_of(
        Limit("gross_leverage", hard=1e9, missing_data="skip"), portfolio=book
    )

    # A price of 10 and cash of 100: after selling 11, -100 and 100 are a nav of zero.
    assert explanation.headroom[0].sell == pytest.approx(11.0)
    assert explanation.headroom[0].sell < 11.0


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", ["value_at_risk", "expected_shortfall", "volatility"])
def test_precision_and_horizon_are_those_of_the_check(name, precision):
    """The largest trade passes and one that is a millionth larger breaks the limit."""
    how = {"settings": MeasureSettings(0.95, 10, precision=precision)}
    before = report_of(BOOK, measures=[name], **how).measures[name].value
    limit = Limit(name, hard=before * 1.5)
    room = explanation_of(limit, **how).headroom[0]

    for more, decision in ((room.buy, "accept"), (room.buy * (1 + 1e-6), "reject")):
        positions = {**BOOK.positions, "AAPL": BOOK.positions["AAPL"] + more}
        larger = replace(BOOK, positions=positions)
        assert report_of(larger, limits=LimitSet("s", [limit]), **how).decision == decision


def test_without_a_request_or_a_result_the_explanation_is_absent():
    """And without limits, trades are unbounded."""
    limits = LimitSet("s", [Limit("gross_exposure", hard=1.0)])
    unknown = Portfolio("p", {"GOLD": 1.0})

    assert report_of(BOOK, limits=limits).explanation is None
    assert report_of(unknown, limits=limits, detail=Detail.EXPLAINED).explanation is None
    assert rooms(report_of(BOOK, detail=Detail.EXPLAINED).explanation)["XOM"] == (None, None)
    assert explanation_of(portfolio=Portfolio("p", {})) == Explanation()


def test_an_instrument_with_a_price_of_zero_has_no_bound():
    market = make_market(prices=[0.0, 20.0, 40.0])
    limits = LimitSet("s", [Limit("gross_exposure", hard=5000.0)])
    service = make_service(markets=[market])
    report = report_of(
        BOOK, service=service, market=market.id, limits=limits, detail=Detail.EXPLAINED
    )

    assert rooms(report.explanation)["AAPL"] == (None, None)


def test_an_instrument_without_a_shock_has_no_headroom():
    """A position of zero in an instrument that the scenario does not cover may not be bought."""
    market = make_market(scenarios={"crash": Scenario({"AAPL": -0.5})})
    book = Portfolio("p", {"AAPL": 1.0, "XOM": 0.0})
    report = report_of(
        book,
        service=make_service(markets=[market]),
        market=market.id,
        limits=LimitSet("s", [Limit("stress_loss:crash", hard=10.0)]),
        detail=Detail.EXPLAINED,
    )

    assert rooms(report.explanation) == {"AAPL": (1.0, None), "XOM": (0.0, 0.0)}


def test_a_measure_may_be_discontinuous_at_zero():
    """XOM has no return on the day of the fall, which counts as soon as XOM is sold."""
    returns = np.full((20, 3), 0.01)
    returns[3] = [-0.5, 0.0, np.nan]
    market = make_market(returns=returns)
    report = report_of(
        Portfolio("p", {"AAPL": 100.0, "XOM": 1.0}),
        service=make_service(markets=[market]),
        market=market.id,
        settings=MeasureSettings(0.9),
        limits=LimitSet("s", [Limit("expected_shortfall", hard=100.0)]),
        detail=Detail.EXPLAINED,
    )

    buy, sell = rooms(report.explanation)["XOM"]
    assert buy is None
    assert sell == pytest.approx(1.0, rel=1e-14)
    assert sell < 1.0
