"""A market snapshot: validation, immutability and its id."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.scenario import Replay, Scenario
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
    named = {key: fields.pop(key) for key in list(fields)[4:]}
    return MarketSnapshot(*fields.values(), **named)


DAYS = [date(2024, 4, 26), date(2024, 4, 29), date(2024, 4, 30)]
TAGS = {"AAPL": {"sector": "technology", "country": "us"}}
TORN = Scenario({}, by_tag={"sector": {"technology": -0.2}, "country": {"us": -0.1}})

BAD_MARKETS = {
    "naive moment": ({"as_of": datetime(2024, 5, 1)}, "as_of"),
    "date": ({"as_of": date(2024, 5, 1)}, "as_of"),
    "moment as text": ({"as_of": "2024-05-01T00:00:00Z"}, "as_of"),
    "no moment": ({"as_of": None}, "as_of"),
    "a set of instruments, which has no order": ({"instruments": {"AAPL", "XOM"}}, "instruments"),
    "a text, whose letters would be instruments": ({"instruments": "AX"}, "instruments"),
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
    "covariance of one": ({"covariance": [[1.0]]}, "covariance"),
    "covariance in a row": ({"covariance": [1.0, 1.0]}, "covariance"),
    "covariance a word": ({"covariance": "sample"}, "covariance"),
    "covariance missing": ({"covariance": [[1.0, 0.0], [0.0, NAN]]}, "covariance['XOM']"),
    "covariance infinite": ({"covariance": [[INF, 0.0], [0.0, 1.0]]}, "covariance['AAPL']"),
    "variance below 0": ({"covariance": [[1.0, 0.0], [0.0, -1e-9]]}, "covariance['XOM']"),
    "covariance uneven": (
        {"covariance": [[1.0, 0.5], [0.5 + 1e-11, 1.0]]},
        "covariance['AAPL']",
    ),
    "scenario unnamed": ({"scenarios": {"": Scenario({})}}, "scenarios['']"),
    "scenario by number": ({"scenarios": {3: Scenario({})}}, "scenarios[3]"),
    "too few dates": ({"dates": DAYS[:2]}, "dates"),
    "no dates": ({"dates": []}, "dates"),
    "dates a number": ({"dates": 3}, "dates"),
    "date a text": ({"dates": [*DAYS[:2], "2024-04-30"]}, "dates[2]"),
    "date a moment": ({"dates": [*DAYS[:2], AS_OF]}, "dates[2]"),
    "date missing": ({"dates": [None, *DAYS[1:]]}, "dates[0]"),
    "date twice": ({"dates": [DAYS[0], DAYS[0], DAYS[2]]}, "dates[1]"),
    "dates backwards": ({"dates": DAYS[::-1]}, "dates[1]"),
    "tags of a stranger": ({"tags": {"MSFT": {"sector": "technology"}}}, "tags['MSFT']"),
    "tags a list": ({"tags": ["AAPL"]}, "tags"),
    "tags without values": ({"tags": {"AAPL": "technology"}}, "tags['AAPL']"),
    "tag empty": ({"tags": {"AAPL": {"": "technology"}}}, "tags['AAPL']"),
    "tag's value empty": ({"tags": {"AAPL": {"sector": ""}}}, "tags['AAPL']"),
    "tag's value a number": ({"tags": {"AAPL": {"sector": 5}}}, "tags['AAPL']"),
    "tags that differ": ({"tags": TAGS, "scenarios": {"t": TORN}}, "scenarios['t'].by_tag"),
    "align unknown": ({"align": "inner"}, "align"),
    "window without calendars": ({"window_days": 2}, "window_days"),
    "window of 0 days": ({"align": "common", "window_days": 0}, "window_days"),
    "gap without calendars": ({"max_gap_days": 10}, "max_gap_days"),
    "too few first dates": ({"first_dates": DAYS[:1]}, "first_dates"),
    "rows of no days": ({"row_days": 0}, "row_days"),
    "replay without dates": ({"scenarios": {"r": Replay(DAYS[0], DAYS[1])}}, "scenarios['r']"),
    "scenario a dict": ({"scenarios": {"up": {"AAPL": 0.5}}}, "scenarios['up']"),
}


@pytest.mark.parametrize(("change", "field"), BAD_MARKETS.values(), ids=BAD_MARKETS.keys())
def test_an_invalid_market_is_refused_by_its_field(change, field):
    """The error names the field, and the instrument if one is at fault."""
    with pytest.raises(InvalidMarketError) as caught:
        snapshot(**change)

    assert caught.value.field == field
    assert caught.value.code == "invalid_market"
    assert caught.value.remedy != InvalidMarketError().remedy


def test_an_instrument_that_is_given_twice_is_named():
    with pytest.raises(InvalidMarketError, match="B appears twice"):
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
def test_an_invalid_scenario_is_refused_by_its_field(make, field):
    """Shocks are finite numbers by name."""
    with pytest.raises(InvalidMarketError) as caught:
        make()

    assert caught.value.field == field


def test_missing_returns_zero_prices_and_an_empty_history_are_accepted():
    """NaN is a missing return; prices may be 0 or below; a market may have no history."""
    assert np.isnan(snapshot().returns[2, 0])
    assert snapshot(prices=[0.0, -37.63]).prices.tolist() == [0.0, -37.63]
    assert snapshot(returns=np.empty((0, 2))).n_observations == 0


def test_a_market_without_dates_and_tags_has_its_first_id():
    """The id in the first version of the format, so that published markets are found."""
    assert snapshot().panel_id == "9c46ba4680be8b65e3f9e103d91e1a6273fa1c3720def26d9048aefaa889442c"
    assert snapshot().id == "fc1aa321d01d07c8106dae95d6da32161624a3c061db07bff908e901895056dd"
    assert snapshot(tags={}, dates=None).id == snapshot(tags={"AAPL": {}}).id == snapshot().id


def test_dates_and_tags_are_kept_as_given():
    """Later changes of the arguments have no effect."""
    days, tags = list(DAYS), {"AAPL": dict(TAGS["AAPL"])}
    market = snapshot(dates=days, tags=tags)

    days[0] = tags["AAPL"]["sector"] = None

    assert market.dates == tuple(DAYS)
    assert market.tags == TAGS
    with pytest.raises(TypeError):
        market.tags["AAPL"]["sector"] = "oil"


def test_observations_and_instruments_are_counted_by_rows_and_columns():
    """Returns have a row per observation and a column per instrument."""
    market = snapshot()

    assert market.n_observations == 3
    assert market.index == {"AAPL": 0, "XOM": 1}


def test_the_moment_is_kept_in_utc():
    """One moment in two time zones makes the same market."""
    there = AS_OF.astimezone(timezone(timedelta(hours=-5)))

    assert snapshot(as_of=there).as_of == AS_OF
    assert snapshot(as_of=there).as_of.tzinfo is UTC
    assert snapshot(as_of=there).id == snapshot().id


def test_later_changes_of_the_arguments_do_not_change_a_market():
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
    """Lists or arrays, in either memory order, with scenarios in any order."""
    again = MarketSnapshot(
        market.as_of.astimezone(timezone(timedelta(hours=3))),
        list(market.instruments),
        market.prices.tolist(),
        np.asfortranarray(market.returns),
        scenarios={name: _reversed(s) for name, s in reversed(market.scenarios.items())},
        covariance=None if market.covariance is None else np.asfortranarray(market.covariance),
        dates=market.dates and list(market.dates),
        tags={i: dict(reversed(of.items())) for i, of in reversed(market.tags.items())},
        **_calendar(market),
    )

    assert (again.id, again.panel_id) == (market.id, market.panel_id)


def _reversed(scenario):
    if isinstance(scenario, Replay):
        return replace(scenario)
    return Scenario(
        dict(reversed(scenario.shocks.items())),
        moves=dict(reversed(scenario.moves.items())),
        by_tag={t: dict(reversed(of.items())) for t, of in reversed(scenario.by_tag.items())},
        others=scenario.others,
    )


# A change of a market, and whether it changes the panel of returns.
CHANGES = {
    "moment": (lambda m: {"as_of": m.as_of + timedelta(microseconds=1)}, False),
    "a price": (lambda m: {"prices": [*m.prices[:-1], 1.0 if m.prices[-1] != 1 else 2.0]}, False),
    "a return": (lambda m: {"returns": np.vstack([_other(m.returns[:1]), m.returns[1:]])}, True),
    "a name": (lambda m: _renamed(m, m.instruments[0] + "'"), True),
    "an observation": (
        lambda m: {
            "returns": np.vstack([m.returns, np.zeros((1, len(m.prices)))]),
            "dates": m.dates and [*m.dates, date(2101, 1, 1)],
        },
        True,
    ),
    "a covariance": (lambda m: {"covariance": _other_covariance(m)}, True),
    "scenario added": (lambda m: {"scenarios": {**m.scenarios, "new one": Scenario({})}}, False),
    "scenario's shock": (lambda m: {"scenarios": _shocked(m, {"one": 0.5}, None)}, False),
    "scenario's others": (lambda m: {"scenarios": _shocked(m, {}, 0.0)}, False),
    "scenario's move": (
        lambda m: {"scenarios": _extra(m, Scenario({}, moves={"one": 0.5}))},
        False,
    ),
    "scenario's tag": (
        lambda m: {"scenarios": _extra(m, Scenario({}, by_tag={"one": {"x": 0.5}}))},
        False,
    ),
    "scenario's window": (
        lambda m: {"scenarios": _extra(m, Replay(DAYS[0], DAYS[1])), "dates": _days(m)},
        True,
    ),
    "dates": (lambda m: {"dates": _days(m)}, True),
    "a tag": (lambda m: {"tags": {m.instruments[0]: {"never drawn": "x"}}}, False),
}


def _renamed(market, name):
    """The first instrument under another name, with its tags."""
    names = dict(zip(market.instruments, [name, *market.instruments[1:]], strict=True))
    return {
        "instruments": list(names.values()),
        "tags": {names[instrument]: of for instrument, of in market.tags.items()},
    }


def _other(row):
    return np.where(np.isnan(row), 0.5, np.nan)


def _other_covariance(market):
    n = len(market.prices)
    return (
        np.zeros((n, n))
        if market.covariance is None
        else market.covariance + np.eye(n) * (1 + market.covariance.max())
    )


def _shocked(market, shocks, others):
    return _extra(market, Scenario(shocks, others=others))


def _extra(market, scenario):
    return {**market.scenarios, "extra": scenario}


def _calendar(market):
    """How the rows of the market are read, as arguments."""
    names = ("align", "window_days", "max_gap_days", "first_dates", "row_days")
    return {name: getattr(market, name) for name in names}


def _days(market):
    """Dates that the strategies never draw."""
    return [date(1901, 1, 1) + timedelta(n) for n in range(market.n_observations)]


@pytest.mark.parametrize(("change", "panel_changes"), CHANGES.values(), ids=CHANGES.keys())
@settings(max_examples=25)
@given(markets(min_instruments=1).filter(lambda m: m.n_observations > 0))
def test_any_changed_input_changes_the_id(change, panel_changes, market):
    """Every input of a number is in the id; marks and scenarios do not change the panel's id."""
    fields = {
        "as_of": market.as_of,
        "instruments": market.instruments,
        "prices": market.prices,
        "returns": market.returns,
        "scenarios": _shocked(market, {}, None),
        "covariance": market.covariance,
        "dates": market.dates,
        "tags": market.tags,
    }
    before = snapshot(**fields)

    after = snapshot(**{**fields, **change(market)})

    assert after.id != before.id
    assert (after.panel_id != before.panel_id) is panel_changes


REPLAY = Replay(DAYS[0], DAYS[1], min_coverage=0.5, others=-0.5)


@pytest.mark.parametrize(
    "change",
    [{"start": DAYS[1]}, {"end": DAYS[2]}, {"min_coverage": 0.25}, {"others": 0.5}],
    ids=lambda change: next(iter(change)),
)
def test_all_of_a_replay_is_in_the_id(change):
    """Also the fields that only a partly covered book uses."""
    ids = {
        snapshot(dates=DAYS, scenarios={"r": of}).id for of in (REPLAY, replace(REPLAY, **change))
    }

    assert len(ids) == 2


def test_a_date_is_in_the_panel_and_a_tag_is_not():
    """New tags are new marks."""
    dated, later = snapshot(dates=DAYS), snapshot(dates=[*DAYS[:2], date(2024, 5, 1)])
    tagged, other = snapshot(tags=TAGS), snapshot(tags={"AAPL": {"sector": "technology"}})

    assert len({dated.panel_id, later.panel_id, snapshot().panel_id}) == 3
    assert tagged.panel_id == other.panel_id == snapshot().panel_id
    assert len({tagged.id, other.id, snapshot().id}) == 3


def test_other_names_of_scenarios_make_another_market():
    """A check requests a scenario by name."""
    renamed = snapshot(scenarios={"crash-2": BASE["scenarios"]["crash"]})

    assert renamed.id != snapshot().id


def test_the_order_of_instruments_is_part_of_the_id():
    """The same numbers under exchanged names are another market."""
    assert snapshot(instruments=["XOM", "AAPL"]).id != snapshot().id


def test_markets_without_instruments_differ_by_their_window():
    """They have no bytes, so the shape is in the id."""
    ids = {MarketSnapshot(AS_OF, [], [], np.empty((n, 0))).panel_id for n in range(3)}

    assert len(ids) == 3


@given(markets(), st.data())
def test_new_marks_keep_the_panel_and_have_the_id_of_a_new_market(market, data):
    """The id depends on the content only."""
    n = len(market.prices)
    prices = np.array(data.draw(st.lists(st.floats(-1e9, 1e9), min_size=n, max_size=n)))
    later = market.as_of + timedelta(hours=1)

    marked = market.with_prices(prices, as_of=later)
    fresh = MarketSnapshot(
        later,
        market.instruments,
        prices,
        market.returns,
        scenarios=market.scenarios,
        covariance=market.covariance,
        dates=market.dates,
        tags=market.tags,
        **_calendar(market),
    )

    assert marked.panel_id == market.panel_id == fresh.panel_id
    assert marked.id == fresh.id != market.id
    assert marked.as_of == later
    np.testing.assert_array_equal(marked.prices, prices)


def test_new_marks_are_validated_like_any_prices():
    """A missing or extra mark is refused by its field."""
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
def test_shocks_of_any_number_type_make_the_same_market(scenario):
    """An integer is the same shock as a float, so the market has the same id."""
    floats = snapshot(scenarios={"crash": Scenario({"AAPL": -1.0}, others=0.0)})

    assert snapshot(scenarios={"crash": scenario}).id == floats.id


@pytest.mark.parametrize(
    ("scenario", "field"),
    [
        (Scenario({"aapl": -0.5}, others=-0.1), "shocks['aapl']"),
        (Scenario({"AAPL ": -0.5}, others=-0.1), "shocks['AAPL ']"),
        (Scenario({}, moves={"xom": -5.0}, others=-0.1), "moves['xom']"),
        (Scenario({}, by_tag={"Sector": {"energy": -0.2}}, others=0.0), "by_tag['Sector']"),
        (Scenario({}, by_tag={"sector": {"Energy": -0.2}}), "by_tag['sector']['Energy']"),
    ],
)
def test_a_scenario_names_instruments_and_tags_in_the_case_of_the_market(scenario, field):
    """A shock of `aapl` would leave `AAPL` to the change of all others."""
    with pytest.raises(InvalidMarketError) as refused:
        MarketSnapshot(
            datetime(2024, 5, 1, tzinfo=UTC),
            ["AAPL", "XOM"],
            [1.0, 2.0],
            [[0.01, 0.02]],
            scenarios={"crash": scenario},
            tags={"XOM": {"sector": "energy"}},
        )

    assert refused.value.field == f"scenarios['crash'].{field}"


def test_a_scenario_may_name_instruments_and_tags_that_the_market_does_not_have():
    """Scenarios are shared by markets."""
    scenario = Scenario({"MSFT": -0.5}, by_tag={"country": {"US": -0.1}}, others=-0.2)

    snapshot = MarketSnapshot(
        datetime(2024, 5, 1, tzinfo=UTC), ["AAPL"], [1.0], [[0.01]], scenarios={"crash": scenario}
    )

    assert snapshot.scenarios["crash"] == scenario


def test_a_market_on_one_calendar_has_the_id_of_plain_returns():
    """How calendars are aligned is part of the id only where it can change a number."""
    young = {"returns": [[NAN, 0.5], [0.25, 0.5], [0.25, 0.5]]}
    common = {"align": "common", "max_gap_days": 10, "dates": DAYS}

    aligned = snapshot(**young, **common)

    assert not aligned.has_calendars
    assert aligned.id == snapshot(**young, dates=DAYS).id


@pytest.mark.parametrize("align", ["drop", "common"])
def test_a_window_is_in_the_id_only_if_it_exceeds_the_returns(align):
    """It then makes the windows of portfolios short; a market with enough returns keeps its id."""
    common = {"returns": np.full((3, 2), 0.5), "dates": DAYS, "align": align}

    plain, enough, too_few, fewer = (
        snapshot(**common, window_days=window_days) for window_days in (None, 3, 4, 5)
    )

    assert not enough.has_calendars
    assert not too_few.has_calendars
    assert enough.id == plain.id
    assert len({plain.panel_id, too_few.panel_id, fewer.panel_id}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"returns": [[0.5, 0.5], [NAN, 0.5], [0.25, 0.5]]},
        {"window_days": 2},
        {"dates": [DAYS[0], DAYS[0] + timedelta(11), DAYS[0] + timedelta(12)]},
        {
            "returns": [[NAN, 0.5], [0.5, 0.5], [0.25, 0.5]],
            "first_dates": [DAYS[0] - timedelta(1)] * 2,
        },
    ],
    ids=["gap", "window", "long gap", "gap before the first return"],
)
def test_calendars_that_can_change_a_number_are_in_the_id(change):
    common = {"align": "common", "max_gap_days": 10, "dates": DAYS, **change}
    dropped = {name: common[name] for name in ("dates", "returns") if name in common}

    aligned = snapshot(**common)

    assert aligned.has_calendars
    assert aligned.panel_id != snapshot(**dropped).panel_id


def test_a_masked_return_is_missing():
    """NumPy keeps a number below the mask."""
    masked = np.ma.masked_array([[0.01], [99.0]], mask=[[False], [True]])

    snapshot = MarketSnapshot(datetime(2024, 5, 1, tzinfo=UTC), ["AAPL"], [1.0], masked)

    np.testing.assert_array_equal(snapshot.returns, [[0.01], [np.nan]])


@pytest.mark.parametrize(
    ("prices", "returns", "field"),
    [
        (np.ma.masked_array([1.0], mask=[True]), [[0.01]], "prices['AAPL']"),
        ([True], [[0.01]], "prices"),
        ([1.0], [[0.01 + 1j]], "returns"),
        ([1.0], [[True]], "returns"),
    ],
)
def test_what_numpy_would_read_as_other_numbers_is_refused(prices, returns, field):
    """A masked price, a boolean, a complex number."""
    with pytest.raises(InvalidMarketError) as refused:
        MarketSnapshot(datetime(2024, 5, 1, tzinfo=UTC), ["AAPL"], prices, returns)

    assert refused.value.field == field
