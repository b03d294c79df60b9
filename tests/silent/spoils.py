"""What people do to inputs: each function spoils one thing of a world's sheets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from tests.silent.outcomes import Verdict
from tests.silent.worlds import N_ROWS, Sheets, World, path, sheets_of

SAME, REFUSED, NAMED = Verdict.SAME, Verdict.REFUSED, Verdict.NAMED
HARMLESS = frozenset((SAME, REFUSED, NAMED))
#: the numbers may be right, but something that the user wrote would be ignored
NEVER_PLAIN = frozenset((REFUSED, NAMED))
#: the sheets mean the same, or are refused
NEVER_OTHER = frozenset((SAME, REFUSED))

ALL = frozenset(("check", "check_many", "check_table", "asyncio", "celery", "cli", "http", "arrow"))
PYTHON = frozenset(("check", "check_many", "check_table", "asyncio"))
#: doors that read a book as a table
TABLES = frozenset(("check", "check_many", "check_table", "asyncio", "cli", "arrow"))
SECOND_TABLE = frozenset(("check_table", "arrow"))
SCENARIOS = ALL - {"arrow"}
#: how sheets become files and frames
CARRIERS = ("csv", "pandas", "polars", "arrow")


@dataclass
class Case:
    """Spoilt sheets, the world whose numbers are right for them, and the verdicts allowed."""

    sheets: Sheets
    right: World
    allowed: frozenset[Verdict] = HARMLESS
    #: instruments that are concerned; portfolios without them have the right numbers. None: all
    concerns: frozenset[str] | None = None
    #: an answer with a finding may accept, since the right numbers are unknown
    may_accept: bool = False
    doors: frozenset[str] = ALL
    carriers: tuple[str, ...] = CARRIERS
    note: str = ""


Draw = Callable[..., Any]
Spoil = Callable[[World, Draw], Case]
SPOILS: dict[str, Spoil] = {}


def spoil(function: Spoil) -> Spoil:
    """Register a spoil under the name of its function."""
    SPOILS[function.__name__] = function
    return function


@spoil
def nothing(world: World, draw: Draw) -> Case:
    """The sheets of a careful user, through every door and carrier."""
    return Case(sheets_of(world), world, frozenset((SAME,)))


# ------------------------------------------------------------------------------- the book


@spoil
def case_of_a_tag(world: World, draw: Draw) -> Case:
    """`Core` for `core`, or `Desk` for `desk`."""
    sheets = sheets_of(world)
    change = draw(st.sampled_from([str.upper, str.capitalize, lambda text: text + " "]))
    if draw(st.booleans()):
        cells = sheets.column(sheets.book, "desk")
        cells[:] = [change(cell) for cell in cells]
    else:
        sheets.rename("desk", change("desk"))
    return Case(sheets, world)


@spoil
def case_of_a_scope(world: World, draw: Draw) -> Case:
    """The limits name the tag or its value in another case."""
    sheets = sheets_of(world)
    change = draw(st.sampled_from([str.upper, str.capitalize]))
    for limit in sheets.limits:
        scope = limit.get("applies_to", {})
        if draw(st.booleans()):
            limit["applies_to"] = {change(tag): value for tag, value in scope.items()}
        else:
            limit["applies_to"] = {tag: change(value) for tag, value in scope.items()}
    return Case(sheets, world)


@spoil
def scope_of_instruments(world: World, draw: Draw) -> Case:
    """Every limit is for a tag that only instruments have."""
    sheets = sheets_of(world)
    sheets.instrument_tags = {"AAPL": {"sector": "technology"}}
    scope = draw(st.sampled_from([{"sector": "technology"}, {"instrument": "AAPL"}]))
    for limit in sheets.limits:
        limit["applies_to"] = scope
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def no_limits(world: World, draw: Draw) -> Case:
    """The limit set is empty."""
    sheets = sheets_of(world)
    sheets.limits = []
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def case_of_nav(world: World, draw: Draw) -> Case:
    """`NAV`, `Nav` or `nav ` for `nav`."""
    sheets = sheets_of(world)
    sheets.rename("nav", draw(st.sampled_from(["NAV", "Nav", "nAV", "nav ", " NAV"])))
    return Case(sheets, world, NEVER_OTHER)


@spoil
def synonym_of_nav(world: World, draw: Draw) -> Case:
    """`aum` and the like for `nav`."""
    sheets = sheets_of(world)
    names = ["aum", "AUM", "net_asset_value", "Net Asset Value", "equity", "Capital", "total_value"]
    sheets.rename("nav", draw(st.sampled_from(names)))
    return Case(sheets, world)


@spoil
def amount_beside_the_position(world: World, draw: Draw) -> Case:
    """A column that changes what a quantity means: a multiplier, a price, a weight."""
    sheets = sheets_of(world)
    names = [
        *("multiplier", "Multiplier", "price", "market_value", "Market Value", "marketValue"),
        *("weight", "notional", "contract_size", "fx_rate", "mult", "Exposure", "delta", "margin"),
    ]
    value = draw(st.sampled_from([50.0, 1.1, 100.0]))
    name = draw(st.sampled_from(names))
    sheets.book.append((name, [value] * len(sheets.book[0][1])))
    return Case(sheets, world, NEVER_PLAIN, note=name)


@spoil
def side_beside_the_position(world: World, draw: Draw) -> Case:
    """A column of buys and sells, or longs and shorts, beside quantities without a sign."""
    sheets = sheets_of(world)
    names = ["side", "Side", "direction", "Long/Short", "buy_sell", "position_side", "L/S"]
    name, cell = draw(st.sampled_from(names)), draw(st.sampled_from(["SELL", "short", "S"]))
    sheets.book.append((name, [cell] * len(sheets.book[0][1])))
    return Case(sheets, world, NEVER_PLAIN, doors=TABLES, note=name)


@spoil
def currency_beside_the_position(world: World, draw: Draw) -> Case:
    """A column of currencies, which is not applied."""
    sheets = sheets_of(world)
    name = draw(st.sampled_from(["currency", "Currency", "ccy", "CURRENCY"]))
    sheets.book.append((name, ["EUR"] * len(sheets.book[0][1])))
    return Case(sheets, world, NEVER_PLAIN, doors=TABLES, note=name)


@spoil
def case_of_an_instrument(world: World, draw: Draw) -> Case:
    """`aapl`, or `AAPL` with a space."""
    sheets = sheets_of(world)
    change = draw(st.sampled_from([str.lower, str.capitalize, lambda text: text + " "]))
    cells = sheets.column(sheets.book, "instrument")
    cells[:] = [change(cell) if cell == "AAPL" else cell for cell in cells]
    return Case(sheets, world)


@spoil
def case_of_a_portfolio(world: World, draw: Draw) -> Case:
    """One row has the id of its portfolio in another case, or with a space."""
    sheets = sheets_of(world)
    change = draw(st.sampled_from([str.upper, str.capitalize, lambda text: text + " "]))
    cells = sheets.column(sheets.book, "portfolio_id")
    row = draw(st.integers(1, len(cells) - 1))
    cells[row] = change(cells[row])
    return Case(sheets, world, NEVER_OTHER, doors=TABLES, note=repr(cells[row]))


@spoil
def case_of_a_portfolio_beside(world: World, draw: Draw) -> Case:
    """The second table has the ids in another case."""
    sheets = sheets_of(world)
    change = draw(st.sampled_from([str.upper, str.capitalize]))
    sheets.portfolios = second_table(sheets.book)
    sheets.book = sheets.book[:3]
    cells = sheets.column(sheets.portfolios, "portfolio_id")
    cells[:] = [change(cell) for cell in cells]
    return Case(sheets, world, doors=SECOND_TABLE)


def second_table(book: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    """Return the columns other than instrument and quantity, with one row per portfolio."""
    ids = book[0][1]
    first = [row for row, name in enumerate(ids) if name not in ids[:row]]
    return [
        (name, [cells[row] for row in first])
        for place, (name, cells) in enumerate(book)
        if place not in (1, 2)
    ]


@spoil
def amounts_and_tags_in_positions(world: World, draw: Draw) -> Case:
    """One table, as a file has it, through the doors that take two."""
    sheets = sheets_of(world)
    sheets.beside = False
    return Case(sheets, world, NEVER_OTHER, doors=SECOND_TABLE)


@spoil
def amounts_and_tags_in_both_tables(world: World, draw: Draw) -> Case:
    """Both tables have all columns; the values of one may differ."""
    sheets = sheets_of(world)
    sheets.portfolios = second_table(sheets.book)
    if draw(st.booleans()):
        cells = sheets.column(sheets.book, "nav")
        cells[:] = [cell * 10 for cell in cells]
    return Case(sheets, world, frozenset((REFUSED,)), doors=SECOND_TABLE)


@spoil
def rows_of_a_portfolio_differ(world: World, draw: Draw) -> Case:
    """One row has another nav or tag than the other rows of its portfolio."""
    sheets = sheets_of(world)
    sheets.beside = False
    name = draw(st.sampled_from(["nav", "desk"]))
    cells = sheets.column(sheets.book, name)
    row = draw(st.integers(0, len(cells) - 1))
    cells[row] = draw(st.sampled_from([None, cells[row] * 2]))
    return Case(sheets, world, doors=TABLES)


@spoil
def no_nav(world: World, draw: Draw) -> Case:
    """The cells of nav are empty; the limit of leverage may skip that."""
    sheets = sheets_of(world)
    cells = sheets.column(sheets.book, "nav")
    cells[:] = [draw(st.sampled_from([None, 0.0, -1.0]))] * len(cells)
    if draw(st.booleans()):
        sheets.limits = [one for one in sheets.limits if one["measure"] == "gross_leverage"]
        for limit in sheets.limits:
            limit["missing_data"] = "skip"
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def position_in_two_rows(world: World, draw: Draw) -> Case:
    """A position is written as two rows of half its quantity."""
    sheets = sheets_of(world)
    row = draw(st.integers(0, len(sheets.book[0][1]) - 1))
    quantities = sheets.column(sheets.book, "quantity")
    quantities[row] /= 2
    for _, cells in sheets.book:
        cells.append(cells[row])
    return Case(sheets, world, NEVER_OTHER, doors=TABLES)


@spoil
def text_in_a_quantity(world: World, draw: Draw) -> Case:
    """`1,000`, `1.000,5`, `$5`, `5%`, `n/a`, empty."""
    sheets = sheets_of(world)
    cells = sheets.column(sheets.book, "quantity")
    cells[0] = draw(st.sampled_from(["1,000", "1.000,5", "$5", "5%", "n/a", "(500)", "", "1e400"]))
    cells[1:] = [str(cell) for cell in cells[1:]]
    return Case(sheets, world, NEVER_OTHER, doors=TABLES)


# ------------------------------------------------------------------------------ the limits


@spoil
def threshold_in_percent(world: World, draw: Draw) -> Case:
    """`concentration` of at most 40 instead of 0.4, which never fires."""
    sheets = sheets_of(world)
    measure = draw(st.sampled_from(["concentration", "herfindahl"]))
    sheets.limits = [one for one in sheets.limits if one["measure"] != "concentration"]
    sheets.limits.append({"measure": measure, "hard": float(draw(st.integers(10, 90)))})
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def warn_beyond_hard(world: World, draw: Draw) -> Case:
    """Two thresholds are swapped."""
    sheets = sheets_of(world)
    sheets.limits.append({"measure": "gross_exposure", "warn": 2e9, "hard": 1e9})
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def confidence_in_percent(world: World, draw: Draw) -> Case:
    """`99` for `0.99`."""
    sheets = sheets_of(world)
    sheets.settings = {"confidence": draw(st.sampled_from(["99", "97.5", "1", "99%", "1.0"]))}
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def case_of_a_shock(world: World, draw: Draw) -> Case:
    """The scenario names an instrument in another case: it would move as all others."""
    sheets = sheets_of(world)
    change = draw(st.sampled_from([str.lower, str.capitalize, lambda text: f" {text}"]))
    shocks = sheets.scenarios["crash"]["shocks"]
    shocks[change("AAPL")] = shocks.pop("AAPL")
    return Case(sheets, world, NEVER_OTHER, doors=SCENARIOS)


@spoil
def shocks_in_percent(world: World, draw: Draw) -> Case:
    """-30 for -0.3."""
    sheets = sheets_of(world)
    scenario = sheets.scenarios["crash"]
    scenario["shocks"] = {name: round(100 * shock) for name, shock in world.shocks.items()}
    if draw(st.booleans()):
        scenario["others"] = -20
    return Case(sheets, world, NEVER_PLAIN, doors=SCENARIOS)


# -------------------------------------------------------------------------------- the dates

_ZONES = ("Europe/London", "America/New_York", "Asia/Tokyo", "Australia/Sydney", "UTC")


@spoil
def zone_of_the_dates(world: World, draw: Draw) -> Case:
    """The dates are moments of a zone: its midnight, or an hour of its day."""
    sheets = sheets_of(world)
    zone = ZoneInfo(draw(st.sampled_from(_ZONES)))
    hour = draw(st.sampled_from([0, 0, 9, 16, 23]))
    cells = sheets.column(sheets.prices, "date")
    cells[:] = [datetime(day.year, day.month, day.day, hour, tzinfo=zone) for day in world.dates]
    return Case(sheets, world, NEVER_OTHER, note=f"{zone} {hour}")


@spoil
def format_of_the_dates(world: World, draw: Draw) -> Case:
    """Day first, month first, slashes, no separators, Excel's numbers, epoch."""
    sheets = sheets_of(world)
    form = draw(
        st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "excel", "ms"])
    )

    def written(day: date) -> Any:
        if form == "excel":
            return (day - date(1899, 12, 30)).days
        if form == "ms":
            return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
        return day.strftime(form)

    cells = sheets.column(sheets.prices, "date")
    cells[:] = [written(day) for day in world.dates]
    return Case(sheets, world, NEVER_OTHER, doors=ALL - {"http"}, note=form)


@spoil
def two_rows_of_one_date(world: World, draw: Draw) -> Case:
    """A row stands twice, with the same prices or with others."""
    sheets = sheets_of(world)
    row = draw(st.integers(1, N_ROWS - 2))
    sheets.rows([*range(row + 1), *range(row, N_ROWS)])
    if draw(st.booleans()):
        cells = sheets.column(sheets.prices, "AAPL")
        cells[row] = round(cells[row] * 1.01, 4)
    if draw(st.booleans()):
        cells = sheets.column(sheets.prices, "date")
        cells[:] = [datetime(day.year, day.month, day.day, 9, tzinfo=UTC) for day in cells]
        cells[row + 1] += timedelta(hours=8)
    return Case(sheets, world, NEVER_OTHER)


@spoil
def hourly_rows(world: World, draw: Draw) -> Case:
    """Rows of hours, or of minutes, are taken for days."""
    sheets = sheets_of(world)
    step = timedelta(minutes=draw(st.sampled_from([1, 15, 60, 240])))
    start = datetime(2024, 1, 2, 9, tzinfo=UTC)
    cells = sheets.column(sheets.prices, "date")
    cells[:] = [start + row * step for row in range(N_ROWS)]
    sheets.scenarios.pop("week")
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def weekly_or_monthly_rows(world: World, draw: Draw) -> Case:
    """Rows of two days, weeks or months are taken for days."""
    sheets = sheets_of(world)
    days = draw(st.sampled_from([2, 3, 7, 14, 30, 91]))
    cells = sheets.column(sheets.prices, "date")
    cells[:] = [date(1990, 1, 5) + timedelta(days=days * row) for row in range(N_ROWS)]
    sheets.scenarios["week"]["replay"] = [cells[30], cells[34]]
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def monthly_then_daily_rows(world: World, draw: Draw) -> Case:
    """The older rows are a month apart, the later ones a day."""
    sheets = sheets_of(world)
    n_months = draw(st.integers(20, 200))
    first = world.dates[n_months]
    cells = sheets.column(sheets.prices, "date")
    for row in range(n_months):
        cells[row] = first - timedelta(days=30 * (n_months - row))
    sheets.scenarios.pop("week")
    return Case(sheets, world, NEVER_PLAIN)


@spoil
def order_of_the_rows(world: World, draw: Draw) -> Case:
    """Newest first, or two rows exchanged."""
    sheets = sheets_of(world)
    rows = list(range(N_ROWS))
    if draw(st.booleans()):
        rows.reverse()
    else:
        row = draw(st.integers(0, N_ROWS - 2))
        rows[row], rows[row + 1] = rows[row + 1], rows[row]
    sheets.rows(rows)
    return Case(sheets, world, NEVER_OTHER)


# ---------------------------------------------------------------------------- the calendars


def _with_weekends(world: World, fill: Callable[[list[Any], int], Any]) -> Sheets:
    """Return sheets with a row for each calendar day; `fill` gives the cell before a new row."""
    sheets = sheets_of(world)
    n_days = (world.dates[-1] - world.dates[0]).days + 1
    days = [world.dates[0] + timedelta(days=offset) for offset in range(n_days)]
    row_of = {day: row for row, day in enumerate(world.dates)}
    filled: list[tuple[str, list[Any]]] = [("date", days)]
    for name, cells in sheets.prices[1:]:
        column: list[Any] = []
        for offset, day in enumerate(days):
            column.append(cells[row_of[day]] if day in row_of else fill(column, offset))
        filled.append((name, column))
    sheets.prices = filled
    return sheets


@spoil
def empty_rows_of_weekends(world: World, draw: Draw) -> Case:
    """A row for each calendar day; those of weekends are empty."""
    return Case(_with_weekends(world, lambda column, offset: None), world, NEVER_OTHER)


@spoil
def weekends_filled_forward(world: World, draw: Draw) -> Case:
    """A row for each calendar day; those of weekends repeat Friday's prices."""
    return Case(_with_weekends(world, lambda column, offset: column[-1]), world)


@spoil
def second_calendar(world: World, draw: Draw) -> Case:
    """The market has a coin that trades on weekends too; no portfolio holds it."""
    sheets = _with_weekends(world, lambda column, offset: None)
    n_days = len(sheets.prices[0][1])
    coin = path(draw(st.integers(0, 1_000)), n_days, 30_000.0)
    sheets.prices.append(("BTC-USD", coin.tolist()))
    return Case(sheets, world, NEVER_OTHER)


@spoil
def second_calendar_held(world: World, draw: Draw) -> Case:
    """A coin that trades on weekends too is held together with the shares."""
    coin = path(draw(st.integers(0, 1_000)), 2 * N_ROWS, 30_000.0)
    days = [(day - world.dates[0]).days for day in world.dates]
    held = {"fund": {**world.positions["fund"], "BTC-USD": 0.5}, "pair": world.positions["pair"]}
    right = World(
        **{
            **vars(world),
            "prices": {**world.prices, "BTC-USD": coin[days]},
            "positions": held,
        }
    )
    sheets = _with_weekends(right, lambda column, offset: None)
    sheets.column(sheets.prices, "BTC-USD")[:] = coin[: len(sheets.prices[0][1])].tolist()
    if world.replay[0].weekday() == 0:
        # Before a Monday, the coin has a price of Sunday, which the right world does not have.
        sheets.scenarios.pop("week")
    return Case(sheets, right, NEVER_OTHER)


@spoil
def holidays_of_one_instrument(world: World, draw: Draw) -> Case:
    """One instrument has no price on some days, up to three in a row."""
    name = draw(st.sampled_from(["7203.T", "MSFT"]))
    rows = set()
    for _ in range(draw(st.integers(1, 8))):
        first = draw(st.integers(2, N_ROWS - 6))
        rows |= set(range(first, first + draw(st.integers(1, 3))))
    right = world.without(name, sorted(rows))
    sheets = sheets_of(world)
    cells = sheets.column(sheets.prices, name)
    for row in rows:
        cells[row] = None
    return Case(sheets, right, NEVER_OTHER)


@spoil
def long_gap_of_one_instrument(world: World, draw: Draw) -> Case:
    """One instrument has no price for weeks: a return over the gap is not a return of a day."""
    first, n = draw(st.integers(20, 200)), draw(st.integers(12, 40))
    sheets = sheets_of(world)
    sheets.column(sheets.prices, "AAPL")[first : first + n] = [None] * n
    right = world.without("AAPL", list(range(first, first + n)))
    return Case(sheets, right, NEVER_PLAIN)


@spoil
def rows_missing_for_weeks(world: World, draw: Draw) -> Case:
    """No row for weeks: a return over the hole is not a return of a day."""
    first, n = draw(st.integers(90, 200)), draw(st.integers(12, 40))
    sheets = sheets_of(world)
    keep = [row for row in range(N_ROWS) if not first <= row < first + n]
    sheets.rows(keep)
    return Case(sheets, world.rows(keep), NEVER_PLAIN)


# ------------------------------------------------------------------------------- the prices


@spoil
def tiny_young_position(world: World, draw: Draw) -> Case:
    """A position in an instrument whose history is 70 % of the window, or less."""
    n = draw(st.integers(105, 220))
    young = np.full(N_ROWS, np.nan)
    young[-n:] = path(draw(st.integers(0, 1_000)), n, 50.0, n_wild=0)
    quantity = draw(st.sampled_from([1e-6, 1e-3, 1.0]))
    sheets = sheets_of(world)
    sheets.prices.append(("IPO", [None if np.isnan(one) else float(one) for one in young]))
    first = sheets.column(sheets.book, "portfolio_id").index("fund")
    for name, cells in sheets.book:
        cells.append({"instrument": "IPO", "quantity": quantity}.get(name, cells[first]))
    return Case(sheets, world, NEVER_PLAIN if quantity == 1.0 else HARMLESS, frozenset(("IPO",)))


@spoil
def glitch_of_the_unit(world: World, draw: Draw) -> Case:
    """Pence for pounds on a few days."""
    first, n = draw(st.integers(5, N_ROWS - 30)), draw(st.integers(1, 5))
    factor = draw(st.sampled_from([100.0, 0.01, 1_000.0, 10.0]))
    sheets = sheets_of(world)
    cells = sheets.column(sheets.prices, "AAPL")
    cells[first : first + n] = [cell * factor for cell in cells[first : first + n]]
    return Case(sheets, world, NEVER_PLAIN, frozenset(("AAPL",)), may_accept=True)


@spoil
def unadjusted_split(world: World, draw: Draw) -> Case:
    """Prices before a date are a multiple: a split, or a change of unit."""
    row = draw(st.integers(5, N_ROWS - 2))
    factor = draw(st.sampled_from([2.0, 3.0, 4.0, 10.0, 20.0, 100.0, 0.5, 0.1, 0.01]))
    sheets = sheets_of(world)
    cells = sheets.column(sheets.prices, "AAPL")
    cells[:row] = [cell * factor for cell in cells[:row]]
    return Case(sheets, world, NEVER_PLAIN, frozenset(("AAPL",)), may_accept=True)


@spoil
def price_not_above_zero(world: World, draw: Draw) -> Case:
    """A price of 0, or a negative one."""
    sheets = sheets_of(world)
    row = draw(st.integers(1, N_ROWS - 1))
    sheets.column(sheets.prices, "AAPL")[row] = draw(st.sampled_from([0.0, -37.63, -1e-9]))
    return Case(sheets, world, NEVER_PLAIN, frozenset(("AAPL",)), may_accept=True)


@spoil
def last_price_missing(world: World, draw: Draw) -> Case:
    """The last price of one instrument is empty."""
    sheets = sheets_of(world)
    n = draw(st.integers(1, 3))
    sheets.column(sheets.prices, "AAPL")[-n:] = [None] * n
    return Case(sheets, world, NEVER_PLAIN, frozenset(("AAPL",)), may_accept=True)


@spoil
def last_price_stale(world: World, draw: Draw) -> Case:
    """The last prices of one instrument are all the same: it was delisted and filled forward."""
    sheets = sheets_of(world)
    n = draw(st.integers(12, 60))
    cells = sheets.column(sheets.prices, "AAPL")
    cells[-n:] = [cells[-n]] * n
    return Case(sheets, world, NEVER_PLAIN, frozenset(("AAPL",)), may_accept=True)


@spoil
def constant_prices(world: World, draw: Draw) -> Case:
    """The prices of one instrument are the same for weeks, or until the last row."""
    sheets = sheets_of(world)
    first = draw(st.integers(1, 60))
    n = draw(st.sampled_from([20, 40, N_ROWS]))
    cells = sheets.column(sheets.prices, "AAPL")
    last = min(first + n, N_ROWS)
    cells[first:last] = [cells[first]] * (last - first)
    return Case(sheets, world, NEVER_PLAIN, frozenset(("AAPL",)), may_accept=True)


@spoil
def text_in_a_price(world: World, draw: Draw) -> Case:
    """`1,234.5`, `12,5`, `$12`, `NaN`, `null`, `-`, `#N/A`."""
    sheets = sheets_of(world)
    cells = sheets.column(sheets.prices, "AAPL")
    cells[:] = [str(cell) for cell in cells]
    row = draw(st.integers(1, N_ROWS - 2))
    cells[row] = draw(
        st.sampled_from(["1,234.5", "12,5", "$12", "NaN", "null", "-", "#N/A", "inf"])
    )
    right = world.without("AAPL", [row]) if cells[row] in ("NaN", "null", "-", "#N/A") else world
    return Case(sheets, right, doors=ALL, note=cells[row])


# ------------------------------------------------------------------------------- the labels


@spoil
def order_of_the_labels(world: World, draw: Draw) -> Case:
    """Frames given to `MarketSnapshot` have their columns in another order than `instruments`."""
    import pandas as pd
    import polars as pl

    from risk_tasks import MarketSnapshot
    from risk_tasks.wire.documents import read_scenarios

    sheets = sheets_of(world)
    names = list(world.prices)
    other = draw(st.permutations(names))
    kind = draw(st.sampled_from(["pandas", "polars", "series", "rows", "all"]))
    frame = pd.DataFrame(dict(world.prices), index=list(world.dates))
    marks: Any = frame.iloc[-1].to_numpy()
    returns: Any = (frame / frame.shift() - 1).iloc[1:]
    dates: Any = list(world.dates[1:])
    as_of = datetime(*world.dates[-1].timetuple()[:3], tzinfo=UTC)
    if kind in ("series", "all"):
        marks = frame.iloc[-1][other]
    if kind in ("pandas", "all"):
        returns = returns[other]
    elif kind == "polars":
        returns = pl.from_pandas(returns[other].reset_index(drop=True))
    elif kind == "rows":
        returns = returns.iloc[::-1]
    scenarios = sheets.scenarios

    def snapshot() -> Any:
        return MarketSnapshot(
            as_of, names, marks, returns, dates=dates, scenarios=read_scenarios(iso(scenarios))
        )

    sheets.snapshot = snapshot
    doors = PYTHON | {"celery"}
    return Case(sheets, world, NEVER_OTHER, doors=doors, carriers=("arrow",), note=kind)


def iso(scenarios: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the scenarios as a JSON document."""
    return {
        name: {
            key: [day.isoformat() for day in value] if key == "replay" else value
            for key, value in scenario.items()
        }
        for name, scenario in scenarios.items()
    }


@spoil
def column_of_prices_twice(world: World, draw: Draw) -> Case:
    """Two columns have one name, or names that differ in a space."""
    sheets = sheets_of(world)
    cells = [cell * 2 for cell in sheets.column(sheets.prices, "AAPL")]
    name = draw(st.sampled_from(["AAPL", " AAPL"]))
    sheets.prices.insert(draw(st.integers(1, 4)), (name, cells))
    doors = ALL - {"http"}
    return Case(sheets, world, NEVER_OTHER, doors=doors, carriers=("csv", "pandas", "arrow"))


@spoil
def odd_pandas_frames(world: World, draw: Draw) -> Case:
    """Sparse columns, columns of objects and nullable numbers."""
    sheets = sheets_of(world)
    return Case(sheets, world, NEVER_OTHER, doors=PYTHON, carriers=("sparse", "object", "nullable"))


@spoil
def name_of_the_date_column(world: World, draw: Draw) -> Case:
    """`Date`, `DATE`, `timestamp`, or the index of a frame; the column may stand elsewhere."""
    sheets = sheets_of(world)
    name = draw(st.sampled_from(["Date", "DATE", "timestamp", "date "]))
    sheets.prices[0] = (name, sheets.prices[0][1])
    if draw(st.booleans()):
        sheets.prices.append(sheets.prices.pop(0))
    return Case(sheets, world, NEVER_OTHER, doors=ALL - {"http"})
