"""`history="per_instrument"`: books with young instruments, each position by its own window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how_many
from hypothesis import strategies as st

from risk_tasks.engine import MarketArrays, compute, contributions
from risk_tasks.engine.scaling import LEAST_COVERAGE
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.registry import MEASURES, Qualifier
from risk_tasks.wire.request import Detail
from tests.unit.engine.books import Book, block_of
from tests.unit.service.support import make_market, make_service, report_of

N_DAYS, N = 300, 5
SCALED = MeasureSettings(history="per_instrument", n_paths=1_000)
COMMON = replace(SCALED, history="common")
NAMES = [f"I{i}" for i in range(N)]
OF_PAST = [
    MeasureName(name, item="I1" if one.qualifier is Qualifier.INSTRUMENT else None)
    for name, one in MEASURES.items()
    if one.of_past
]
PARTS = ["volatility", "value_at_risk", "expected_shortfall", "parametric_value_at_risk"]


def market_of(starts, seed=5, **change):
    """Return a market whose instruments have returns from these observations on."""
    returns = np.random.default_rng(seed).normal(0.0, 0.01, (N_DAYS, N))
    for i, start in enumerate(starts):
        returns[:start, i] = np.nan
    prices = [1.0, 2.0, 0.5, 4.0, 1.0]
    return make_market(instruments=NAMES, prices=prices, returns=returns, scenarios={}, **change)


def scaled_pnl(market, positions) -> list[float]:
    """Return the outcomes of a book, day by day."""
    value = {i: quantity * market.prices[i] for i, quantity in positions if quantity}
    first = {i: int(np.argmax(~np.isnan(market.returns[:, i]))) for i in value}
    first = {
        i: N_DAYS if np.isnan(market.returns[:, i]).all() else start for i, start in first.items()
    }
    gross, outcomes = sum(map(abs, value.values())), []
    for day in range(N_DAYS):
        started = [i for i in value if first[i] <= day]
        covered = sum(abs(value[i]) for i in started)
        pnl = sum(value[i] * market.returns[day, i] for i in started)
        if covered >= LEAST_COVERAGE * gross and not np.isnan(pnl):
            outcomes.append(pnl * gross / covered)
    return outcomes


starts = st.lists(st.sampled_from([0, 0, 40, 150, 260]), min_size=N, max_size=N)
books = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(-8, 8).map(float)),
    min_size=1,
    max_size=N,
    unique_by=lambda position: position[0],
)


@given(st.lists(books, min_size=1, max_size=4), starts)
@how_many(max_examples=40)
def test_each_day_is_scaled_by_the_gross_exposure_of_what_has_started(drawn, late):
    """Compared day by day, for blocks of old and young books in any order."""
    market = market_of(late)
    block = block_of([Book(book, nav=1e6) for book in drawn])
    names = [MeasureName("volatility"), MeasureName("value_at_risk", confidence="0.95")]

    columns = compute(block, MarketArrays.of(market), names, SCALED)

    for row, book in enumerate(drawn):
        outcomes = scaled_pnl(market, book) if any(q for _, q in book) else [0.0] * N_DAYS
        n = columns[names[0]].n_observations[row]
        assert n == len(outcomes)
        if n >= 20:
            worst = -sorted(outcomes)[int(np.ceil(n / 20)) - 1]
            scale = max(1.0, sum(abs(q) for _, q in book))
            assert columns[names[0]].values[row] == pytest.approx(
                np.std(outcomes, ddof=1), abs=1e-12 * scale
            )
            assert columns[names[1]].values[row] == pytest.approx(worst, abs=1e-12 * scale)


def test_each_measure_of_the_past_of_a_book_equals_that_of_its_filled_market():
    """Also measures of one instrument and simulated ones; others are not concerned."""
    market = market_of([0, 150, 0, 40, 0])
    positions = [(3, 2.0), (1, -1.0), (0, 40.0)]
    filled = np.array(market.returns)
    value = {i: quantity * market.prices[i] for i, quantity in positions}
    for day in range(150):
        started = [i for i in value if not np.isnan(market.returns[day, i])]
        rate = sum(value[i] * filled[day, i] for i in started)
        rate /= sum(abs(value[i]) for i in started)
        for i, of_position in value.items():
            if i not in started:
                filled[day, i] = np.sign(of_position) * rate
    whole = replace(market, returns=filled)
    block = block_of([Book(positions, nav=1e6)])

    found = compute(block, MarketArrays.of(market), OF_PAST, SCALED)
    expected = compute(block, MarketArrays.of(whole), OF_PAST, COMMON)

    for name in OF_PAST:
        assert found[name].outcomes.tolist() == expected[name].outcomes.tolist(), name
        assert found[name].values == pytest.approx(expected[name].values, rel=1e-9, nan_ok=True), (
            name
        )


@pytest.mark.parametrize("measure", PARTS)
def test_contributions_sum_to_the_scaled_measure(measure):
    block = block_of([Book([(1, 1.0), (0, 10.0)], nav=1e6)])
    market, name = MarketArrays.of(market_of([0, 150, 0, 0, 0])), MeasureName(measure)

    whole = compute(block, market, [name], SCALED)[name].values[0]

    assert contributions(block, market, name, SCALED, 0).sum() == pytest.approx(whole)


def test_books_without_young_instruments_have_the_same_bits():
    """In a block with young ones, and in one without."""
    market = MarketArrays.of(market_of([0, 150, 0, 0, 0]))
    old = [Book([(0, 5.0), (2, -1.0)], nav=1e6), Book([(4, 1.0)], nav=1e6)]
    young = Book([(1, 1.0), (0, 10.0)], nav=1e6)
    names = [name for name in OF_PAST if name.item is None]

    mixed = compute(block_of([old[0], young, old[1]]), market, names, SCALED)
    alone = compute(block_of(old), market, names, COMMON)

    for name in names:
        assert mixed[name].values[[0, 2]].tobytes() == alone[name].values.tobytes()


def report(positions, *, late=(0, 150, 0, 0, 0), **terms):
    market = market_of(late)
    return report_of(
        Portfolio("p", positions, nav=1e6),
        service=make_service(markets=(market,)),
        market=market.id,
        settings=terms.pop("settings", SCALED),
        **terms,
    )


def test_a_report_names_the_scaled_instruments():
    """The window is then not short; without the setting it is."""
    scaled = report({"I0": 10.0, "I1": 1.0})
    common = report({"I0": 10.0, "I1": 1.0}, settings=COMMON)

    assert [str(one) for one in scaled.data_quality] == ["scaled:I1"]
    assert "observation 150" in scaled.data_quality[0].detail
    assert scaled.measures["volatility"].n_observations == N_DAYS
    assert [str(one) for one in common.data_quality] == ["short_window:I1"]
    assert scaled.input_hash != common.input_hash
    assert report({"I0": 5.0}).data_quality == ()
    assert report({"I0": 10.0, "I1": 1.0}, measures=["market_value"]).data_quality == ()


@given(st.floats(1e-9, 0.9), st.sampled_from([1.0, -1.0]))
@how_many(max_examples=30)
def test_days_on_which_little_has_started_do_not_count(share, side):
    """So a small old position cannot lend its calm past to a large young one."""
    limits = LimitSet("s", [Limit("value_at_risk@0.95", hard=1e9)])
    old, young = share * 1e6, side * (1 - share) * 1e6 / 2.0

    found = report({"I0": old, "I1": young}, late=(0, 260, 0, 0, 0), limits=limits)

    is_scaled = share >= LEAST_COVERAGE
    assert found.measures["value_at_risk"].n_observations == (N_DAYS if is_scaled else 40)
    assert found.decision == ("accept" if is_scaled else "warn")


def test_headroom_says_that_it_does_not_consider_scaled_measures():
    """The scale depends on the size of the trade; other limits still bound it."""
    limits = LimitSet("s", [Limit("value_at_risk", hard=1e9), Limit("gross_exposure", hard=100.0)])

    young = report({"I0": 10.0, "I1": 1.0}, limits=limits, detail=Detail.EXPLAINED).explanation
    old = report({"I0": 5.0}, limits=limits, detail=Detail.EXPLAINED).explanation

    assert young.not_bounded == ("value_at_risk",)
    assert young.headroom[0].buy == pytest.approx(88.0)
    assert old.not_bounded == ()


def test_rows_on_which_a_position_does_not_trade_are_left_out():
    """With calendars aligned: the same as on the dates that all positions have in common."""
    market = market_of([0, 100, 0, 0, 0])
    closed = np.arange(N_DAYS) % 7 == 3
    weekly = np.array(market.returns)
    weekly[closed, 0] = np.nan
    positions = [(0, 40.0), (1, 1.0)]
    aligned = MarketArrays.of(replace(market, returns=weekly, align="common"))
    # On common rows the return of the young position also spans the closed row.
    grown = np.array(market.returns[:, 1])
    for row in np.flatnonzero(closed[:-1] & ~np.isnan(grown[:-1])).tolist():
        grown[row + 1] = (1.0 + grown[row]) * (1.0 + grown[row + 1]) - 1.0
    returns = np.array(weekly)
    returns[:, 1] = grown
    common = MarketArrays.of(replace(market, returns=returns[~closed]))
    block, name = block_of([Book(positions, nav=1e6)]), MeasureName("volatility")

    found = compute(block, aligned, [name], SCALED)[name]
    expected = compute(block, common, [name], SCALED)[name]

    assert found.n_observations.tolist() == expected.n_observations.tolist() == [(~closed).sum()]
    assert found.values == pytest.approx(expected.values, rel=1e-12)
