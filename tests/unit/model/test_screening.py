"""What `screen` finds in a market, one kind of spoiled price at a time."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks import read_market, sample
from risk_tasks.errors import DoubtfulMarketError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.screening import (
    SPLITS,
    STALE_DAYS,
    STALE_ROWS,
    STRETCH_ROWS,
    require_no_doubt,
    screen,
    screened,
    with_new_prices,
)
from tests.unit.model import strategies as model

N = 400
seeds = st.integers(0, 2**16)


def weekdays(n):
    """Return `n` weekdays in a row."""
    days = (date(2023, 1, 2) + timedelta(days=i) for i in range(2 * n))
    return [day for day in days if day.weekday() < 5][:n]


def prices(seed, n_instruments=3, n=N):
    """Return plausible prices (n, instruments) to the cent, of 1 to 2 % a day."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_t(5, (n, n_instruments)) * rng.uniform(0.008, 0.015, n_instruments)
    levels = 100.0 * np.exp(np.cumsum(np.clip(moves, -0.2, 0.2), axis=0))
    return levels.round(4)


def market(table, dates=None):
    """Return the market of a table of prices, whose last row is complete."""
    return MarketSnapshot(
        datetime(2024, 7, 15, tzinfo=UTC),
        [f"I{i}" for i in range(table.shape[1])],
        table[-1],
        table[1:] / table[:-1] - 1.0,
        dates=(dates or weekdays(len(table)))[1:],
    )


def kinds(snapshot, instrument="I1"):
    """Return the kinds of findings of `instrument`; no other instrument has any."""
    found = screen(snapshot)
    assert {one.instrument for one in found} <= {instrument}
    return {str(one.kind) for one in found}


@given(seeds)
def test_plausible_prices_have_no_finding(seed):
    assert screen(market(prices(seed))) == ()


def test_the_sample_has_no_finding():
    assert screen(read_market(sample.PRICES)) == ()


@pytest.mark.parametrize("is_reverse", [False, True])
@given(seeds, st.sampled_from(SPLITS[1:]), st.integers(20, N - 20))
def test_a_split_is_a_jump(is_reverse, seed, factor, row):
    table = prices(seed)
    table[row:, 1] *= factor if is_reverse else 1.0 / factor

    assert kinds(market(table)) == {"jump"}


@pytest.mark.parametrize("is_reverse", [False, True])
def test_most_splits_by_half_are_jumps(is_reverse):
    """A split on a day with a large move of its own looks like a move."""
    found = 0
    for seed in range(40):
        table = prices(seed)
        table[200:, 1] *= 1.5 if is_reverse else 1.0 / 1.5
        found += "jump" in kinds(market(table))

    assert found >= 30


def test_a_fall_by_a_third_that_more_moves_follow_is_not_a_jump():
    table = prices(0)
    table[200:, 1] *= 0.667
    table[201:, 1] *= 1.09

    assert kinds(market(table)) == set()


@given(
    seeds,
    st.floats(2.0, 200.0),
    st.booleans(),
    st.integers(1, N - 20),
    st.integers(1, 15),
)
def test_prices_in_another_unit_for_some_days_are_a_jump(seed, factor, is_inverse, row, n_days):
    table = prices(seed)
    table[row : row + n_days, 1] *= 1.0 / factor if is_inverse else factor

    assert kinds(market(table)) == {"jump"}


@pytest.mark.parametrize("rows", [slice(0, 3), slice(N - 1, N)], ids=["first", "last"])
def test_a_wrong_unit_at_an_end_of_the_history_is_a_jump(rows):
    table = prices(0)
    table[rows, 1] *= 100.0

    (finding,) = screen(market(table))

    assert finding.kind == "jump"
    assert "looks like a change of unit" in finding.detail


def test_a_jump_says_factor_date_and_return():
    table = prices(0)
    table[250:253, 1] *= 100.0

    (finding,) = screen(market(table))

    assert str(finding) == "jump:I1"
    assert str(weekdays(N)[250]) in finding.detail
    assert "back after 3 rows, looks like a change of unit" in finding.detail


def test_a_spike_that_is_undone_is_a_jump():
    table = prices(0)
    table[200, 1] *= 1.5

    assert kinds(market(table)) == {"jump"}


@given(seeds, st.integers(STRETCH_ROWS, 40), st.integers(1, N - 60))
def test_equal_prices_in_a_row_are_constant(seed, n_rows, row):
    table = prices(seed)
    table[row : row + n_rows + 1, 1] = table[row, 1]

    assert "constant" in kinds(market(table))


@given(seeds, st.integers(STALE_ROWS, 40))
def test_equal_last_prices_are_stale(seed, n_rows):
    table = prices(seed)
    table[-n_rows - 1 :, 1] = table[-n_rows - 1, 1]

    assert "stale_price" in kinds(market(table))


@given(seeds)
def test_filled_weekends_are_repeated_prices(seed):
    """Also where every instrument is filled, so that no other one moves on a weekend."""
    table = prices(seed)
    days = [weekdays(1)[0] + timedelta(days=i) for i in range(N)]
    for row, day in enumerate(days):
        if day.weekday() >= 5:
            table[row] = table[row - 1]

    found = screen(market(table, days))

    assert {(str(one.kind), one.instrument) for one in found} == {
        ("repeated", f"I{i}") for i in range(3)
    }
    assert all("most Saturdays and Sundays" in one.detail for one in found)


@given(seeds)
def test_filled_holidays_are_repeated_prices(seed):
    """An exchange closes on 5 % of the weekdays: Tokyo beside New York."""
    table = prices(seed)
    table[20::20, 1] = table[19:-1:20, 1]

    assert kinds(market(table)) == {"repeated"}


@pytest.mark.parametrize("rate", [0.0, 0.0001])
def test_equal_returns_have_no_variance(rate):
    table = prices(0)
    table[:, 1] = 100.0 * (1.0 + rate) ** np.arange(N)

    assert kinds(market(table)) == {"zero_variance"}


@given(seeds, st.lists(st.integers(2, N - 2), min_size=1, max_size=5, unique=True))
def test_an_emptied_cell_is_a_gap(seed, rows):
    table = prices(seed)
    table[rows, 1] = np.nan

    assert kinds(market(table)) == {"gap"}


def test_closed_days_are_not_gaps():
    """Weekends beside a crypto-currency, and the holidays that two shares have in common."""
    table = prices(0, n_instruments=4)
    days = [weekdays(1)[0] + timedelta(days=i) for i in range(N)]
    weekend = np.array([day.weekday() >= 5 for day in days])
    table[weekend, :3] = np.nan
    table[[35, 102, 156, 301], :2] = np.nan

    assert screen(market(table, days)) == ()


def test_an_emptied_cell_beside_closed_days_is_a_gap():
    table = prices(0, n_instruments=4)
    table[[35, 102, 156, 301], :2] = np.nan
    table[200, 1] = np.nan

    (finding,) = screen(market(table))

    assert str(finding) == "gap:I1"
    assert finding.detail == f"1 price missing, on {weekdays(N)[200]}"


def test_a_row_without_any_price_is_not_a_gap():
    table = prices(0)
    table[200] = np.nan

    assert screen(market(table)) == ()


@pytest.mark.parametrize(("first", "found"), [(20, set()), (300, {"short_history"})])
def test_a_late_first_price_is_a_short_history(first, found):
    table = prices(0)
    table[:first, 1] = np.nan

    assert kinds(market(table)) == found


@pytest.mark.parametrize("price", [0.0, -37.63])
def test_a_last_price_of_zero_or_less_is_found(price):
    plain = market(prices(0))
    marked = plain.with_prices(np.array([100.0, price, 100.0]), as_of=plain.as_of)

    assert kinds(marked) == {"price_not_above_zero"}


@given(model.markets())
def test_any_market_has_at_most_one_finding_per_kind_and_instrument(snapshot):
    found = [(one.kind, one.instrument) for one in screen(snapshot)]

    assert len(set(found)) == len(found)


def with_price(snapshot, price, days):
    """Return the snapshot with a new price of I1, this number of days later; the others move."""
    prices = snapshot.prices * np.array([1.001, 1.0, 1.001])
    prices[1] = price
    return screened(
        with_new_prices(snapshot, prices, as_of=datetime(2024, 7, 15 + days, tzinfo=UTC))
    )


@pytest.mark.parametrize("factor", [100.0, 0.5, 2.0])
def test_a_new_price_that_jumps_is_found_until_it_returns(factor):
    """It is compared with the price before the jump, also when new prices repeat it."""
    plain = screened(market(prices(0)))
    price = plain.prices[1]

    jumped = with_price(plain, price * factor, 0)
    repeated = with_price(jumped, price * factor * 1.01, 1)
    back = with_price(repeated, price * 1.01, 1)

    assert list(map(str, jumped.findings)) == ["jump:I1"]
    assert list(map(str, repeated.findings)) == ["jump:I1"]
    assert f"x{factor:g} in new prices, from" in jumped.findings[0].detail
    assert (back.findings, dict(back.earlier_prices)) == ((), {})


def test_a_price_that_new_prices_repeat_for_a_week_is_stale():
    plain = screened(market(prices(0)))
    stuck = plain
    for days in range(1, STALE_DAYS + 1):
        assert stuck.findings == ()
        stuck = with_price(stuck, plain.prices[1], days)

    assert list(map(str, stuck.findings)) == ["stale_price:I1"]
    assert "2024-07-15" in stuck.findings[0].detail
    assert with_price(stuck, plain.prices[1] * 1.01, 8).findings == ()


def test_a_doubt_is_an_error_that_names_it():
    table = prices(0)
    table[250:253, 1] *= 100.0

    with pytest.raises(DoubtfulMarketError, match=r"jump:I1: x.* on .*, back after 3 rows"):
        require_no_doubt(screened(market(table)))


def test_a_short_history_is_not_a_doubt():
    table = prices(0)
    table[:300, 1] = np.nan

    require_no_doubt(screened(market(table)))


def common(table, dates=None, **options):
    """Return the market whose returns span missing prices."""
    plain = market(table, dates)
    returns, last = np.full(plain.returns.shape, np.nan), table[0].copy()
    for row, found in enumerate(table[1:]):
        has = ~np.isnan(found)
        returns[row, has] = found[has] / last[has] - 1.0
        last[has] = found[has]
    return MarketSnapshot(
        plain.as_of,
        plain.instruments,
        plain.prices,
        returns,
        dates=plain.dates,
        align="common",
        **options,
    )


@given(seeds, st.lists(st.integers(2, N - 2), min_size=1, max_size=5, unique=True))
def test_a_gap_that_a_return_spans_is_found(seed, rows):
    table = prices(seed)
    table[rows, 1] = np.nan

    (finding,) = screen(common(table))

    assert str(finding) == "gap:I1"
    assert finding.detail.startswith(f"{len(rows)} price")


def test_closed_days_that_returns_span_are_not_gaps():
    table = prices(0, n_instruments=4)
    days = [weekdays(1)[0] + timedelta(days=i) for i in range(N)]
    table[np.array([day.weekday() >= 5 for day in days]), :3] = np.nan
    table[[35, 102, 156, 301], :2] = np.nan

    assert screen(common(table, days)) == ()


def test_prices_before_the_window_have_no_finding():
    table = prices(0)
    table[:100, 1] *= 100.0

    assert list(map(str, screen(common(table)))) == ["jump:I1"]
    assert screen(common(table, window_days=250)) == ()


def test_a_history_that_is_shorter_than_the_window_is_found():
    (finding,) = screen(common(prices(0), window_days=500))

    assert (str(finding), finding.detail) == (
        "short_history",
        f"{N - 1} returns for a window of 500 days",
    )


def test_four_filled_weekend_days_are_found():
    table = prices(0, n=40)
    days = [weekdays(1)[0] + timedelta(days=i) for i in range(40)]
    weekends = [row for row, day in enumerate(days) if day.weekday() >= 5][:4]
    for row in weekends:
        table[row, 1] = table[row - 1, 1]
    later = [row for row, day in enumerate(days) if day.weekday() >= 5][4:]
    table[later, 1] = np.nan

    assert "repeated" in kinds(common(table, days))


def test_screening_again_replaces_its_findings_and_keeps_others():
    dropped = DataFinding(kind="short_window", instrument="I0")
    table = prices(0)
    table[200, 1] = np.nan
    plain = market(table).with_remarks([dropped], {})

    once = screened(plain)

    assert list(map(str, once.findings)) == ["short_window:I0", "gap:I1"]
    assert screened(once).findings == once.findings
    assert (once.id, once.panel_id) == (plain.id, plain.panel_id)
    assert plain.findings == (dropped,)


def test_a_market_without_returns_has_no_finding():
    empty = MarketSnapshot(datetime(2024, 7, 15, tzinfo=UTC), ["A"], [1.0], np.empty((0, 1)))

    assert screen(empty) == ()


def test_an_instrument_without_returns_has_a_short_history():
    returns = np.column_stack([np.linspace(-0.01, 0.02, 50), np.full(50, np.nan)])
    one = MarketSnapshot(datetime(2024, 7, 15, tzinfo=UTC), ["A", "B"], [1.0, 1.0], returns)

    assert list(map(str, screen(one))) == ["short_history:B"]
