"""A market snapshot: what it refuses, that it stays as it is, and what its id says."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.scenario import Scenario
from tests.unit.model.strategies import markets

NAN, INF = float("nan"), float("inf")
AS_OF = datetime(2024, 5, 1, 12, tzinfo=UTC)
BASE = {
    "as_of": AS_OF,
    "instruments": ["AAPL", "XOM"],
    "prices": [10.0, 20.0],
    "returns": [[0.5, -0.25], [0.0, 0.125], [NAN, 0.25]],
    "scenarios": {"crash": Scenario({"AAPL": -0.5}, others=-0.25)},
}


def snapshot(**change):
    """Return the base market with these changes."""
    fields = {**BASE, **change}
    scenarios = fields.pop("scenarios")
    return MarketSnapshot(*fields.values(), scenarios=scenarios)


BAD_MARKETS = {
    "naive moment": ({"as_of": datetime(2024, 5, 1)}, "as_of"),
    "date": ({"as_of": date(2024, 5, 1)}, "as_of"),
    "moment as text": ({"as_of": "2024-05-01T00:00:00Z"}, "as_of"),
    "no moment": ({"as_of": None}, "as_of"),
    "instrument twice": ({"instruments": ["XOM", "XOM"]}, "instruments"),
    "instrument empty": ({"instruments": ["AAPL", ""]}, "instruments"),
    "instrument a number": ({"instruments": ["AAPL", 5]}, "instruments"),
    "instrument no message can carry": ({"instruments": ["AAPL", "\ud800"]}, "instruments"),
    "too few prices": ({"prices": [10.0]}, "prices"),
    "too many prices": ({"prices": [10.0, 20.0, 30.0]}, "prices"),
    "prices in a column": ({"prices": [[10.0], [20.0]]}, "prices"),
    "one price alone": ({"prices": 10.0}, "prices"),
    "first price missing": ({"prices": [NAN, 20.0]}, "prices['AAPL']"),
    "last price missing": ({"prices": [10.0, NAN]}, "prices['XOM']"),
    "price None": ({"prices": [10.0, None]}, "prices['XOM']"),
    "price infinite": ({"prices": [10.0, -INF]}, "prices['XOM']"),
    "price a word": ({"prices": ["ten", 20.0]}, "prices"),
    "price too large": ({"prices": [10.0, 10**400]}, "prices"),
    "returns in one row": ({"returns": [0.5, 0.25]}, "returns"),
    "returns in boxes": ({"returns": np.zeros((1, 2, 2))}, "returns"),
    "returns transposed": ({"returns": np.zeros((2, 3))}, "returns"),
    "ragged returns": ({"returns": [[0.5, 0.25], [0.5]]}, "returns"),
    "first return infinite": ({"returns": [[0.0, 0.0], [INF, 0.0]]}, "returns['AAPL']"),
    "last return infinite": ({"returns": [[NAN, 0.0], [0.0, -INF]]}, "returns['XOM']"),
    "scenario unnamed": ({"scenarios": {"": Scenario({})}}, "scenarios['']"),
    "scenario by number": ({"scenarios": {3: Scenario({})}}, "scenarios[3]"),
    "scenario a dict": ({"scenarios": {"up": {"AAPL": 0.5}}}, "scenarios['up']"),
}


@pytest.mark.parametrize(("change", "field"), BAD_MARKETS.values(), ids=BAD_MARKETS.keys())
def test_a_bad_market_is_refused_by_its_field(change, field):
    """The field is named, and where it is one instrument's, the instrument too."""
    with pytest.raises(InvalidMarketError) as caught:
        snapshot(**change)

    assert caught.value.field == field
    assert caught.value.code == "invalid_market"
    assert caught.value.remedy


def test_the_instrument_that_stands_twice_is_told():
    """Among many names the reader is told which."""
    with pytest.raises(InvalidMarketError, match="B stands twice"):
        MarketSnapshot(AS_OF, ["A", "B", "C", "B"], np.ones(4), np.zeros((1, 4)))


BAD_SCENARIOS = {
    "shock missing": (lambda: Scenario({"AAPL": 0.5, "XOM": NAN}), "shocks['XOM']"),
    "shock infinite": (lambda: Scenario({"XOM": INF}), "shocks['XOM']"),
    "shock a text": (lambda: Scenario({"XOM": "-20%"}), "shocks['XOM']"),
    "shock None": (lambda: Scenario({"XOM": None}), "shocks['XOM']"),
    "shock of nothing": (lambda: Scenario({"": 0.5}), "shocks"),
    "shock of a number": (lambda: Scenario({5: 0.5}), "shocks"),
    "others missing": (lambda: Scenario({}, others=NAN), "others"),
    "others a truth": (lambda: Scenario({}, others=True), "others"),
}


@pytest.mark.parametrize(("make", "field"), BAD_SCENARIOS.values(), ids=BAD_SCENARIOS.keys())
def test_a_bad_scenario_is_refused_by_its_field(make, field):
    """Shocks are finite numbers by name."""
    with pytest.raises(InvalidMarketError) as caught:
        make()

    assert caught.value.field == field


def test_a_missing_return_a_price_of_zero_and_no_history_are_accepted():
    """NaN marks a return that is missing; prices may be 0 or below; a market may be new."""
    assert np.isnan(snapshot().returns[2, 0])
    assert snapshot(prices=[0.0, -37.63]).prices.tolist() == [0.0, -37.63]
    assert snapshot(returns=np.empty((0, 2))).n_observations == 0


def test_observations_and_places_are_counted_by_rows_and_columns():
    """Returns have a row per observation and a column per instrument."""
    market = snapshot()

    assert market.n_observations == 3
    assert market.index == {"AAPL": 0, "XOM": 1}


def test_the_moment_is_kept_in_utc():
    """Two clocks that show the same moment make the same market."""
    there = AS_OF.astimezone(timezone(timedelta(hours=-5)))

    assert snapshot(as_of=there).as_of == AS_OF
    assert snapshot(as_of=there).as_of.tzinfo is UTC
    assert snapshot(as_of=there).id == snapshot().id


def test_what_the_caller_changes_later_changes_nothing():
    """Arrays, lists and mappings are copied."""
    prices, returns = np.array([10.0, 20.0]), np.array(BASE["returns"])
    instruments, shocks = ["AAPL", "XOM"], {"AAPL": -0.5}
    scenarios = {"crash": Scenario(shocks, others=-0.25)}
    market = MarketSnapshot(AS_OF, instruments, prices, returns, scenarios=scenarios)

    prices[0] = returns[0, 0] = shocks["AAPL"] = 99.0
    instruments[0] = "MSFT"
    scenarios["rally"] = Scenario({})

    assert market.id == snapshot().id
    assert market.prices[0] == 10.0
    assert market.returns[0, 0] == 0.5
    assert market.instruments == ("AAPL", "XOM")
    assert market.scenarios == BASE["scenarios"]


def test_a_market_cannot_be_changed():
    """Neither its fields, nor its arrays, nor its scenarios."""
    market = snapshot()

    with pytest.raises(FrozenInstanceError):
        market.prices = np.ones(2)
    with pytest.raises(ValueError, match="read-only"):
        market.prices[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        market.returns[0, 0] = 1.0
    with pytest.raises(TypeError):
        market.scenarios["crash"] = Scenario({})
    with pytest.raises(TypeError):
        market.scenarios["crash"].shocks["AAPL"] = 0.0
    with pytest.raises(FrozenInstanceError):
        market.scenarios["crash"].others = 0.0


@given(markets())
def test_equal_content_has_an_equal_id(market):
    """Lists or arrays, in either memory order, with scenarios in any order: the same market."""
    again = MarketSnapshot(
        market.as_of.astimezone(timezone(timedelta(hours=3))),
        list(market.instruments),
        market.prices.tolist(),
        np.asfortranarray(market.returns),
        scenarios={
            name: Scenario(dict(reversed(s.shocks.items())), others=s.others)
            for name, s in reversed(market.scenarios.items())
        },
    )

    assert (again.id, again.panel_id) == (market.id, market.panel_id)


# What is changed about a market, and whether the panel of returns changes with it.
CHANGES = {
    "moment": (lambda m: {"as_of": m.as_of + timedelta(microseconds=1)}, False),
    "a price": (lambda m: {"prices": [*m.prices[:-1], 1.0 if m.prices[-1] != 1 else 2.0]}, False),
    "a return": (lambda m: {"returns": np.vstack([_other(m.returns[:1]), m.returns[1:]])}, True),
    "a name": (lambda m: {"instruments": [m.instruments[0] + "'", *m.instruments[1:]]}, True),
    "an observation": (
        lambda m: {"returns": np.vstack([m.returns, np.zeros((1, len(m.prices)))])},
        True,
    ),
    "scenario added": (lambda m: {"scenarios": {**m.scenarios, "new one": Scenario({})}}, False),
    "scenario's shock": (lambda m: {"scenarios": _shocked(m, {"one": 0.5}, None)}, False),
    "scenario's others": (lambda m: {"scenarios": _shocked(m, {}, 0.0)}, False),
}


def _other(row):
    return np.where(np.isnan(row), 0.5, np.nan)


def _shocked(market, shocks, others):
    return {**market.scenarios, "extra": Scenario(shocks, others=others)}


@pytest.mark.parametrize(("change", "panel_changes"), CHANGES.values(), ids=CHANGES.keys())
@settings(max_examples=25)
@given(markets(min_instruments=1).filter(lambda m: m.n_observations > 0))
def test_any_changed_input_changes_the_id(change, panel_changes, market):
    """Every input of a number is in the id; marks and scenarios leave the panel's id alone."""
    fields = {
        "as_of": market.as_of,
        "instruments": market.instruments,
        "prices": market.prices,
        "returns": market.returns,
        "scenarios": _shocked(market, {}, None),
    }
    before = snapshot(**fields)

    after = snapshot(**{**fields, **change(market)})

    assert after.id != before.id
    assert (after.panel_id != before.panel_id) is panel_changes


def test_scenarios_of_other_names_make_another_market():
    """What a check asks for by name is part of the market."""
    renamed = snapshot(scenarios={"crash-2": BASE["scenarios"]["crash"]})

    assert renamed.id != snapshot().id


def test_order_of_instruments_is_part_of_the_id():
    """The same numbers under exchanged names are another market."""
    assert snapshot(instruments=["XOM", "AAPL"]).id != snapshot().id


def test_markets_without_instruments_differ_by_their_window():
    """Where there are no bytes to tell them apart the shape does."""
    ids = {MarketSnapshot(AS_OF, [], [], np.empty((n, 0))).panel_id for n in range(3)}

    assert len(ids) == 3


@given(markets(), st.data())
def test_new_marks_keep_the_panel_and_make_the_id_that_a_fresh_market_has(market, data):
    """Whether a market was marked or made anew, its id is its content's."""
    n = len(market.prices)
    prices = np.array(data.draw(st.lists(st.floats(-1e9, 1e9), min_size=n, max_size=n)))
    later = market.as_of + timedelta(hours=1)

    marked = market.with_prices(prices, as_of=later)
    fresh = MarketSnapshot(
        later, market.instruments, prices, market.returns, scenarios=market.scenarios
    )

    assert marked.panel_id == market.panel_id == fresh.panel_id
    assert marked.id == fresh.id != market.id
    assert marked.as_of == later
    np.testing.assert_array_equal(marked.prices, prices)


def test_new_marks_are_checked_as_any_prices_are():
    """A mark that is missing, or one too many, is refused by its field."""
    for prices, field in (([1.0, NAN], "prices['XOM']"), ([1.0], "prices")):
        with pytest.raises(InvalidMarketError) as caught:
            snapshot().with_prices(np.array(prices), as_of=AS_OF)

        assert caught.value.field == field


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario({"AAPL": -1}, others=0),
        Scenario({"AAPL": Decimal(-1)}, others=Decimal(0)),
        Scenario({"AAPL": np.float32(-1)}, others=np.int64(0)),
    ],
    ids=["int", "Decimal", "numpy"],
)
def test_shocks_of_any_kind_of_number_make_the_market_that_floats_make(scenario):
    """A whole number is the same shock as a float, so the market has the same id."""
    floats = snapshot(scenarios={"crash": Scenario({"AAPL": -1.0}, others=0.0)})

    assert snapshot(scenarios={"crash": scenario}).id == floats.id
