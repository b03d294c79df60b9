"""A portfolio has finite numbers by name, or an error that names the field."""

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
    """Return the error that these arguments raise."""
    with pytest.raises(InvalidPortfolioError) as caught:
        Portfolio(*args, **kwargs)
    assert caught.value.code == "invalid_portfolio"
    assert caught.value.remedy != InvalidPortfolioError().remedy
    return caught.value


@pytest.mark.parametrize("number", BAD_NUMBERS, ids=lambda number: repr(number)[:20])
@pytest.mark.parametrize("place", ["cash", "nav"])
def test_an_amount_must_be_a_finite_number(place, number):
    """NaN, infinity, a text and a boolean are refused with the field and the found value."""
    error = refusal("p", {}, **{place: number})

    assert error.field == place
    assert repr(number) in error.message


@pytest.mark.parametrize("number", [*BAD_NUMBERS, None], ids=lambda number: repr(number)[:20])
def test_a_quantity_must_be_a_finite_number(number):
    """The error names the instrument."""
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
def test_tags_must_be_texts(tags, field):
    """Limits are selected by text."""
    assert refusal("p", {}, tags=tags).field == field


@pytest.mark.parametrize("positions", [[("AAPL", 1.0)], None, "AAPL", 5], ids=repr)
def test_positions_must_be_a_mapping(positions):
    """A list of pairs could contain an instrument twice."""
    assert refusal("p", positions).field == "positions"


@pytest.mark.parametrize("tags", [["desk"], None, "desk"], ids=repr)
def test_tags_must_be_a_mapping(tags):
    """The error is the model's own, not Python's."""
    assert refusal("p", {}, tags=tags).field == "tags"


def test_names_that_cannot_be_encoded_are_refused():
    """A lone surrogate, which JSON can contain, has no UTF-8 form."""
    assert refusal("\ud800", {}).field == "id"
    assert refusal("p", {"\ud800": 1.0}).field.startswith("positions[")


def test_tags_that_cannot_be_encoded_are_refused():
    """Like names."""
    assert refusal("p", {}, tags={"desk": "\ud800"}).field == "tags['desk']"
    assert refusal("p", {}, tags={"\ud800": "fx"}).field.startswith("tags[")


def test_numbers_of_every_type_become_floats():
    """Decimals and NumPy's scalars equal a float of the same value."""
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


def test_later_changes_of_the_arguments_do_not_change_a_portfolio():
    """Positions and tags are copied."""
    positions, tags = {"AAPL": 1.0}, {"desk": "fx"}
    portfolio = Portfolio("p", positions, tags=tags)

    positions["AAPL"] = 2.0
    tags["desk"] = "rates"

    assert portfolio == Portfolio("p", {"AAPL": 1.0}, tags={"desk": "fx"})


def test_a_portfolio_cannot_be_changed():
    """Neither its fields nor their content; cash, nav and tags are keyword arguments."""
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
def test_the_order_and_content_of_positions_are_kept(portfolio):
    """A portfolio made from the fields of another one is equal, position by position."""
    again = Portfolio(
        portfolio.id,
        dict(portfolio.positions),
        cash=portfolio.cash,
        nav=portfolio.nav,
        tags=dict(portfolio.tags),
    )

    assert again == portfolio
    assert list(again.positions) == list(portfolio.positions)
