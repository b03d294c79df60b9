"""A portfolio holds finite numbers by name, or says which field does not."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given

from risk_tasks.errors import InvalidPortfolioError
from risk_tasks.model.portfolio import Portfolio
from tests.unit.model.strategies import portfolios

NAN, INF = float("nan"), float("inf")
BAD_NUMBERS = [NAN, INF, -INF, Decimal("NaN"), np.float64("inf"), 10**400, "1", True, b"1", [1.0]]


def refusal(*args, **kwargs):
    """Return the error that making a portfolio of this raises."""
    with pytest.raises(InvalidPortfolioError) as caught:
        Portfolio(*args, **kwargs)
    assert caught.value.code == "invalid_portfolio"
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("number", BAD_NUMBERS, ids=lambda number: repr(number)[:20])
@pytest.mark.parametrize("place", ["cash", "nav"])
def test_an_amount_that_is_no_finite_number_is_refused_by_its_name(place, number):
    """Not a number, infinite, a text or a truth: the field is named, and what it held."""
    error = refusal("p", {}, **{place: number})

    assert error.field == place
    assert repr(number) in error.message


@pytest.mark.parametrize("number", [*BAD_NUMBERS, None], ids=lambda number: repr(number)[:20])
def test_a_quantity_that_is_no_finite_number_is_refused_by_its_instrument(number):
    """Of several positions the one at fault is named."""
    error = refusal("p", {"AAPL": 1.0, "XOM": number})

    assert error.field == "positions['XOM']"
    assert repr(number) in error.message


@pytest.mark.parametrize("name", ["", None, 5, b"p"], ids=repr)
def test_a_portfolio_without_an_id_is_refused(name):
    """An id is a text that is not empty."""
    assert refusal(name, {}).field == "id"


@pytest.mark.parametrize("name", ["", None, 5], ids=repr)
def test_an_instrument_without_a_name_is_refused(name):
    """A name is a text that is not empty."""
    assert refusal("p", {"AAPL": 1, name: 2}).field == f"positions[{name!r}]"


@pytest.mark.parametrize(
    ("tags", "field"),
    [
        ({"desk": 1}, "tags['desk']"),
        ({"desk": None}, "tags['desk']"),
        ({"book": "a", 3: "fx"}, "tags[3]"),
    ],
)
def test_tags_that_are_no_texts_are_refused_by_their_name(tags, field):
    """Limits are selected by text."""
    assert refusal("p", {}, tags=tags).field == field


@pytest.mark.parametrize("positions", [[("AAPL", 1.0)], None, "AAPL", 5], ids=repr)
def test_positions_that_are_no_mapping_are_refused_by_name(positions):
    """A list of pairs may hold an instrument twice, so only a mapping is taken."""
    assert refusal("p", positions).field == "positions"


@pytest.mark.parametrize("tags", [["desk"], None, "desk"], ids=repr)
def test_tags_that_are_no_mapping_are_refused_by_name(tags):
    """The error is the model's own, not Python's."""
    assert refusal("p", {}, tags=tags).field == "tags"


def test_names_that_no_message_can_carry_are_refused():
    """A lone surrogate, as it may stand in JSON, is in no message that is UTF-8."""
    assert refusal("\ud800", {}).field == "id"
    assert refusal("p", {"\ud800": 1.0}).field.startswith("positions[")


def test_tags_that_no_message_can_carry_are_refused():
    """As names are."""
    assert refusal("p", {}, tags={"desk": "\ud800"}).field == "tags['desk']"
    assert refusal("p", {}, tags={"\ud800": "fx"}).field.startswith("tags[")


def test_numbers_of_every_kind_become_floats():
    """Decimals and NumPy's scalars are what a float of the same value is."""
    given = Portfolio("p", {"A": Decimal("1.5"), "B": np.float64(2)}, cash=3, nav=np.int64(4))

    assert given == Portfolio("p", {"A": 1.5, "B": 2.0}, cash=3.0, nav=4.0)
    assert {type(number) for number in (*given.positions.values(), given.cash, given.nav)} == {
        float
    }


def test_unknown_is_not_zero():
    """Cash and nav that are not given stay None."""
    portfolio = Portfolio("p", {})

    assert (portfolio.cash, portfolio.nav) == (None, None)
    assert portfolio != Portfolio("p", {}, cash=0.0, nav=0.0)


def test_what_the_caller_changes_later_changes_nothing():
    """Positions and tags are copied."""
    positions, tags = {"AAPL": 1.0}, {"desk": "fx"}
    portfolio = Portfolio("p", positions, tags=tags)

    positions["AAPL"] = 2.0
    tags["desk"] = "rates"

    assert portfolio == Portfolio("p", {"AAPL": 1.0}, tags={"desk": "fx"})


def test_a_portfolio_cannot_be_changed():
    """Neither its fields nor what they hold; cash, nav and tags are given by name only."""
    portfolio = Portfolio("p", {"AAPL": 1.0}, tags={"desk": "fx"})

    with pytest.raises(FrozenInstanceError):
        portfolio.cash = 1.0
    with pytest.raises(TypeError):
        portfolio.positions["AAPL"] = 2.0
    with pytest.raises(TypeError):
        portfolio.tags["desk"] = "rates"
    with pytest.raises(TypeError):
        Portfolio("p", {}, 1.0)


@given(portfolios)
def test_order_and_content_of_positions_are_kept(portfolio):
    """A portfolio made of another's parts is the same, position by position."""
    again = Portfolio(
        portfolio.id,
        dict(portfolio.positions),
        cash=portfolio.cash,
        nav=portfolio.nav,
        tags=dict(portfolio.tags),
    )

    assert again == portfolio
    assert list(again.positions) == list(portfolio.positions)
