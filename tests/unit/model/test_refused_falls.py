"""A price cannot lose more than all of itself: shocks and returns below -1 are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.scenario import Replay, Scenario

START, END = date(2020, 2, 20), date(2020, 3, 23)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda shock: Scenario({"AAPL": shock}), "shocks['AAPL']"),
        (lambda shock: Scenario({}, others=shock), "others"),
        (
            lambda shock: Scenario({}, by_tag={"sector": {"banks": shock}}),
            "by_tag['sector']['banks']",
        ),
        (lambda shock: Replay(START, END, min_coverage=0.5, others=shock), "others"),
    ],
)
def test_a_shock_below_minus_one_is_refused(make, field):
    """-30 means -3,000 %; a loss of everything is -1."""
    for shock in (-30.0, np.nextafter(-1.0, -2.0)):
        with pytest.raises(InvalidMarketError, match="more than the whole price") as caught:
            make(shock)
        assert caught.value.field == field
        assert "-0.3 for -30 %" in caught.value.remedy
    make(-1.0)


def test_an_absolute_move_has_no_such_bound():
    assert Scenario({}, moves={"OIL": -37.6}).moves["OIL"] == -37.6


def test_a_return_below_minus_one_is_refused():
    def market(value):
        returns = np.array([[0.01, 0.02], [0.03, value]])
        return MarketSnapshot(datetime(2024, 5, 6, tzinfo=UTC), ["A", "B"], [1.0, 1.0], returns)

    with pytest.raises(InvalidMarketError, match="B in row 1 is below -1") as caught:
        market(-1.5)
    assert caught.value.field == "returns['B']"
    assert market(-1.0).n_observations == 2
