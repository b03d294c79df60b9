"""Scenarios: the change of each instrument, and validation."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.scenario import Replay, Scenario

NAN = float("nan")
MARCH, APRIL = date(2020, 3, 1), date(2020, 4, 1)
TECH = {"sector": {"technology": -0.2}}

BAD = {
    "shocks a number": (lambda: Scenario(0.5), "shocks"),
    "move missing": (lambda: Scenario({}, moves={"CL": NAN}), "moves['CL']"),
    "move of nothing": (lambda: Scenario({}, moves={"": 1.0}), "moves"),
    "moves a list": (lambda: Scenario({}, moves=["CL"]), "moves"),
    "shock and move": (lambda: Scenario({"CL": -0.1}, moves={"CL": -1.0}), "moves['CL']"),
    "tag of nothing": (lambda: Scenario({}, by_tag={"": {"a": 1.0}}), "by_tag"),
    "tag by number": (lambda: Scenario({}, by_tag={5: {"a": 1.0}}), "by_tag"),
    "tag without values": (lambda: Scenario({}, by_tag={"sector": -0.2}), "by_tag['sector']"),
    "tag's value empty": (lambda: Scenario({}, by_tag={"sector": {"": 1.0}}), "by_tag['sector']"),
    "tag's shock infinite": (
        lambda: Scenario({}, by_tag={"sector": {"a": float("inf")}}),
        "by_tag['sector']['a']",
    ),
    "start a text": (lambda: Replay("2020-03-01", APRIL), "start"),
    "end a moment": (lambda: Replay(MARCH, datetime(2020, 4, 1)), "end"),
    "end before start": (lambda: Replay(APRIL, MARCH), "end"),
    "coverage above all": (lambda: Replay(MARCH, APRIL, min_coverage=1.5), "min_coverage"),
    "coverage below none": (lambda: Replay(MARCH, APRIL, min_coverage=-0.1), "min_coverage"),
    "coverage missing": (lambda: Replay(MARCH, APRIL, min_coverage=NAN), "min_coverage"),
    "coverage without others": (lambda: Replay(MARCH, APRIL, min_coverage=0.5), "others"),
    "others never read": (lambda: Replay(MARCH, APRIL, others=0.0), "min_coverage"),
    "others infinite": (
        lambda: Replay(MARCH, APRIL, min_coverage=0.5, others=float("inf")),
        "others",
    ),
}


@pytest.mark.parametrize(("make", "field"), BAD.values(), ids=BAD.keys())
def test_an_invalid_scenario_is_refused_by_its_field(make, field):
    """Each error has a remedy."""
    with pytest.raises(InvalidMarketError) as caught:
        make()

    assert caught.value.field == field
    assert caught.value.remedy != InvalidMarketError().remedy


def test_a_tag_applies_to_instruments_that_are_not_named():
    """Not to instruments with a shock or a move, nor to other values or tags."""
    scenario = Scenario({"A": -0.5}, moves={"B": -1.0}, by_tag=TECH)
    tags = {name: {"sector": "technology"} for name in "ABC"}

    assert scenario.tagged({**tags, "D": {"sector": "oil"}, "E": {"country": "technology"}}) == {
        "C": -0.2
    }
    assert Scenario({}).tagged(tags) == {}


def test_two_tags_with_different_shocks_are_refused_with_both():
    """Equal shocks are accepted, and so is an instrument that is named."""
    by_tag = {**TECH, "country": {"us": -0.1, "uk": -0.2}}
    us = {"AAPL": {"sector": "technology", "country": "us"}}

    with pytest.raises(InvalidMarketError, match="AAPL") as caught:
        Scenario({}, by_tag=by_tag).tagged(us)

    assert caught.value.field == "by_tag"
    assert "sector=technology (-0.2) and country=us (-0.1)" in caught.value.message
    uk = {"ARM": {"sector": "technology", "country": "uk"}}
    assert Scenario({}, by_tag=by_tag).tagged(uk) == {"ARM": -0.2}
    assert Scenario({"AAPL": 0.0}, by_tag=by_tag).tagged(us) == {}


@given(st.permutations(["sector", "country"]))
def test_zeros_of_tags_have_no_sign(order):
    """The result does not depend on the order of the tags."""
    scenario = Scenario({}, by_tag={"sector": {"a": 0.0}, "country": {"a": -0.0}})

    assert str(scenario.tagged({"X": dict.fromkeys(order, "a")})["X"]) == "0.0"


def test_later_changes_of_the_arguments_do_not_change_a_scenario():
    """Mappings are copied and read-only."""
    moves, values = {"CL": -1.0}, {"technology": -0.2}
    scenario = Scenario({}, moves=moves, by_tag={"sector": values})

    moves["CL"] = values["technology"] = 9.0

    assert scenario == Scenario({}, moves={"CL": -1.0}, by_tag=TECH)
    with pytest.raises(TypeError):
        scenario.by_tag["sector"]["technology"] = 9.0


def test_one_day_is_a_window():
    """It starts and ends with it."""
    assert Replay(MARCH, MARCH).min_coverage == 1.0
