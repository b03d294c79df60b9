"""The sample files load, hold what they say, and show every decision."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from risk_tasks import sample
from risk_tasks.engine import MarketArrays
from risk_tasks.readers import read_limits, read_market, read_portfolios, read_scenarios


@pytest.fixture(scope="module")
def market():
    """The sample market with its scenarios."""
    return read_market(sample.PRICES, scenarios=read_scenarios(sample.SCENARIOS))


@pytest.fixture(scope="module")
def books():
    """The sample portfolios by id."""
    return {portfolio.id: portfolio for portfolio in read_portfolios(sample.BOOKS)}


def test_the_market_has_twenty_shares_and_a_thousand_days(market):
    """A thousand returns have ten in the worst hundredth."""
    assert len(market.instruments) == 20
    assert market.returns.shape == (1000, 20)
    assert not np.isnan(market.returns).any()
    assert market.as_of == datetime(2022, 12, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "instrument", "price"),
    [
        ("2019-01-09", "AAPL", "36.885"),
        ("2020-03-23", "JPM", "70.998"),
        ("2022-12-28", "XOM", "106.627"),
    ],
)
def test_prices_are_those_of_the_source(day, instrument, price):
    """The values were typed from the first, a middle and the last row of the source."""
    lines = sample.PRICES.read_text().splitlines()
    row = next(line.split(",") for line in lines if line.startswith(day))

    assert row[lines[0].split(",").index(instrument)] == price


def test_the_crash_is_what_the_prices_did(market):
    """The shocks are relative changes from 2020-02-19 to 2020-03-23, to four decimals."""
    rows = {line[:10]: line.split(",")[1:] for line in sample.PRICES.read_text().splitlines()}
    before, after = (np.array(rows[day], float) for day in ("2020-02-19", "2020-03-23"))

    shocks = [market.scenarios["crash-2020"].shocks[name] for name in market.instruments]

    np.testing.assert_allclose(shocks, after / before - 1, atol=5e-5, rtol=0)
    assert market.scenarios["crash-2020"].others is None


def test_other_scenarios_shock_every_share(market):
    """A check can request them in any market."""
    assert list(market.scenarios)[:3] == ["crash-2020", "broad-fall", "tech-sell-off"]
    assert market.scenarios["broad-fall"].others == -0.20
    assert market.scenarios["tech-sell-off"].others == -0.05


def test_the_replay_of_the_crash_is_the_crash(market):
    """The shocks were typed from prices to four decimals; the replay reads the returns."""
    replays = MarketArrays.of(market).scenarios

    assert list(replays)[3:] == ["covid-crash", "bear-2022"]
    shocks = [market.scenarios["crash-2020"].shocks[name] for name in market.instruments]
    np.testing.assert_allclose(replays["covid-crash"].change, shocks, atol=5e-5, rtol=0)
    assert replays["bear-2022"].covered.all()


def test_every_position_of_the_books_has_a_price(market, books):
    """No sample book asks for an instrument that the market does not have."""
    held = {instrument for book in books.values() for instrument in book.positions}

    assert held <= set(market.instruments)


def test_dollar_neutral_is_neutral_to_a_thousandth(market, books):
    """Long and short differ by less than 0.1 % of gross exposure."""
    values = values_of(books["dollar-neutral"], market)

    assert abs(values.sum()) < 0.001 * np.abs(values).sum()


@pytest.mark.parametrize(
    ("book", "warned", "broken"),
    [
        ("long-only", set(), set()),
        ("long-short", {"gross_leverage"}, set()),
        ("concentrated", set(), {"concentration"}),
        ("dollar-neutral", set(), set()),
        ("all-short", set(), set()),
        ("empty", set(), set()),
        (
            "limit-breaker",
            set(),
            {
                "value_at_risk",
                "expected_shortfall",
                "gross_leverage",
                "concentration",
                "gross_exposure",
                "net_exposure",
                "stress_loss:crash-2020",
                "stress_loss:bear-2022",
            },
        ),
    ],
)
def test_each_book_breaks_the_limits_that_it_is_there_to_break(market, books, book, warned, broken):
    """Every decision has a book: accepted, warned, rejected for one limit, rejected for all."""
    measures = naive_measures(books[book], market)
    applying = [
        limit
        for limit in read_limits(sample.LIMITS).limits
        if limit.applies(book, books[book].tags) and limit.measure in measures
    ]

    def observed(limit):
        number = measures[limit.measure]
        return abs(number) if limit.comparison == "absolute" else number

    hard = {limit.id for limit in applying if observed(limit) > limit.hard}
    warn = {limit.id for limit in applying if observed(limit) > limit.warn} - hard
    assert (warn, hard) == (warned, broken)


def test_the_market_neutral_desk_has_a_limit_of_its_own(books):
    """One limit is for one desk alone."""
    limits = read_limits(sample.LIMITS)
    (scoped,) = [limit for limit in limits.limits if limit.applies_to]

    assert limits.id == "standard"
    assert [book.id for book in books.values() if scoped.applies(book.id, book.tags)] == [
        "dollar-neutral"
    ]


def test_the_licence_of_the_prices_is_beside_them():
    """BSD-3-Clause asks for the copyright notice in every copy."""
    folder = sample.PRICES.parent

    assert "The skfolio developers" in (folder / "LICENSE-skfolio").read_text()
    assert "ee21cac28befb1d0a739a9ceb22184f9" in (folder / "README.md").read_text()


def values_of(portfolio, market):
    """Return the value of each instrument of `market` in `portfolio`."""
    held = [portfolio.positions.get(name, 0.0) for name in market.instruments]
    return np.array(held) * market.prices


def naive_measures(portfolio, market):
    """Return the limited measures by their plainest formulas; concentration only where defined."""
    values = values_of(portfolio, market)
    gross = np.abs(values).sum()
    nav = values.sum() + portfolio.cash if portfolio.nav is None else portfolio.nav
    worst = np.sort(market.returns @ values)[:10]
    crash = market.scenarios["crash-2020"].shocks
    rows = {line[:10]: line.split(",")[1:] for line in sample.PRICES.read_text().splitlines()}
    high, low = (np.array(rows[day], float) for day in ("2022-01-03", "2022-10-12"))
    measures = {
        "gross_exposure": gross,
        "net_exposure": values.sum(),
        "gross_leverage": gross / nav,
        "value_at_risk": -worst[9],
        "expected_shortfall": -worst.mean(),
        "stress_loss:crash-2020": -values @ [crash[name] for name in market.instruments],
        "stress_loss:bear-2022": -values @ (low / high - 1),
    }
    if gross:
        measures["concentration"] = np.abs(values).max() / gross
    return measures
