"""The plan that the options give, and the portfolios of each user."""

from __future__ import annotations

import pytest
import typer

from benchmarks import inputs
from benchmarks.load.books import shares
from benchmarks.load.command import read_ms
from benchmarks.load.plan import LEVELS, planned


def test_the_usual_options_give_the_five_levels():
    plan = planned(users=10, most=5_000, cores=2)

    assert plan.levels == LEVELS
    assert plan.workers == (1, 2)


@pytest.mark.parametrize(
    ("users", "most", "levels"),
    [(10, 2_500, (500, 1_000, 5_000, 20_000, 25_000)), (1, 3, (3,)), (600, 1, (600,))],
)
def test_no_level_is_above_the_requests_of_all_users(users, most, levels):
    """No level is below one check per user."""
    assert planned(users=users, most=most, cores=1).levels == levels


def test_quick_is_small():
    assert planned(users=10, most=5_000, cores=2, quick=True).levels == (50, 200)
    assert planned(users=3, most=1, cores=2, quick=True).levels == (3,)


@pytest.mark.parametrize(("text", "ms"), [("100ms", 100), ("0.1s", 100), ("2.5 ms", 2.5)])
def test_a_time_has_a_unit(text, ms):
    assert read_ms(text) == ms


@pytest.mark.parametrize("text", ["100", "", "0ms", "-1ms", "ms", "1h", "nanms"])
def test_an_invalid_time_is_refused(text):
    with pytest.raises(typer.BadParameter, match="expected a text such as 100ms"):
        read_ms(text)


def test_each_portfolio_belongs_to_one_user():
    positions = inputs.table(10, encoded=True)
    tables = shares(positions, 7, 3)

    ids = [table["portfolio_id"].chunk(0).dictionary.to_pylist() for table in tables]
    assert ids == [
        ["portfolio-0", "portfolio-1"],
        ["portfolio-2", "portfolio-3"],
        ["portfolio-4", "portfolio-5", "portfolio-6"],
    ]
    asked = [row for table in tables for row in table.to_pylist()]
    assert asked == positions.slice(0, 7 * inputs.N_POSITIONS).to_pylist()
