"""Screen a market for prices that look wrong: jumps, repeated and stale prices, gaps.

A pure function of the snapshot: it changes no number. Each threshold has its reason beside it, and
`docs/decisions/0015-screening-of-prices.md` has the false alarms that were measured with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import DoubtfulMarketError
from risk_tasks.model.calendar import Align
from risk_tasks.model.market import EarlierPrice, FloatArray1D, FloatArray2D, MarketSnapshot
from risk_tasks.model.quality import DataFinding, FindingKind

BoolArray = npt.NDArray[np.bool_]

#: A move by this factor or its inverse is a jump. A split by 2 shows as 1.85 on a day on which the
#: share gains 8 %; only 2 of 185,000 days of real shares move as far.
JUMP_FACTOR = 1.85
#: A smaller move is a jump if it is undone, or if it looks like a split by 3/2: real shares move
#: by 1.35 on a day about once in 10,000 days, and do not return at once.
SMALL_JUMP_FACTOR = 1.35
#: A level that returns within this number of rows is a wrong price, not a move. Two weeks: a change
#: of unit is usually corrected sooner.
ROWS_UNTIL_BACK = 10
#: A level has returned if it is this near to the earlier one, as a log return, or within three
#: standard deviations of as many rows.
NEAR_LEVEL = 0.05
#: The largest distance of a split by 3/2 from that factor, as a log return, and the largest move in
#: the `ROWS_AFTER_SPLIT` rows after it in standard deviations: a fall by a third that is real is
#: followed by large moves.
NEAR_SPLIT, QUIET_AFTER_SPLIT, ROWS_AFTER_SPLIT = 0.03, 3.0, 3
#: The usual factors of splits; a jump this near to one, as a log return, is described as a split.
SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0)
NEAR_NAMED_SPLIT = 0.08
#: The factors that are described as a change of unit: pence for pounds, cents for dollars.
UNIT_FACTORS = (50.0, 200.0)

#: The least number of equal prices in a row, as returns of 0, that is a stretch; and the largest
#: expected number of such stretches, given the share of zero returns elsewhere. Real shares with
#: small prices repeat a price for two or three rows.
STRETCH_ROWS, STRETCHES_BY_CHANCE = 4, 0.001
#: Prices are repeated too often if zero returns are this number or more, this share of all (the
#: filled holidays of an exchange are about 3 % of its rows), and this multiple of the number that
#: the smallest step of the price explains, which is estimated by blocks of rows as it changes.
MANY_REPEATS, REPEATED_SHARE, REPEATED_MULTIPLE, STEP_ROWS = 8, 0.02, 4.0, 250
#: Weekends are filled if most of their prices, and this number or more, repeat the price before.
WEEKEND_ROWS = 4
#: The last price is stale after this number of returns of 0 at the end: a week of equal prices.
STALE_ROWS = 4
#: The price of an instrument is stale if new prices repeated it for this number of calendar days.
STALE_DAYS = 6
#: A standard deviation of returns below this is that of rounding: prices have 15 digits.
NO_VARIANCE = 1e-12
#: A history is short if it covers less than this share of the rows.
HISTORY_SHARE = 0.9
#: The dates that are common to a portfolio are fewer than those of its instruments, so its window
#: reaches further back.
SPARE_ROWS = 21
#: Instruments have the same calendar if they lack a price on this number of dates together, and
#: these are this share of the dates on which either lacks one.
SHARED_CLOSURES, SHARED_SHARE = 3, 0.7

#: the number of findings that the message of an error names
_NAMED_DOUBTS = 5
_NORMAL_MEDIAN = 0.6745
_NORMAL_DENSITY = 0.3989


@dataclass(frozen=True)
class _Panel:
    """The returns (T, n) of a snapshot; a row is one date."""

    market: MarketSnapshot

    @property
    def instruments(self) -> Sequence[str]:
        return self.market.instruments

    @cached_property
    def start(self) -> int:
        """The first row that the window of a portfolio may contain, with a month to spare."""
        window, returns = self.market.window_days, self.market.returns
        if window is None or len(returns) <= window:
            return 0
        from_last = np.cumsum(~np.isnan(returns[::-1]), axis=0)
        n_rows = int((from_last < window).sum(axis=0).max(initial=0)) + 1 + SPARE_ROWS
        return max(0, len(returns) - n_rows)

    @cached_property
    def returns(self) -> FloatArray2D:
        return self.market.returns[self.start :]

    @cached_property
    def dates(self) -> Sequence[date] | None:
        dates = self.market.dates
        return None if dates is None else dates[self.start :]

    @cached_property
    def observed(self) -> BoolArray:
        return ~np.isnan(self.returns)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """The number of returns of each instrument (n,)."""
        counts: npt.NDArray[np.int64] = self.observed.sum(axis=0)
        return counts

    @cached_property
    def first(self) -> npt.NDArray[np.int64]:
        """The row of the first return of each instrument (n,); T without returns."""
        begun = np.logical_or.accumulate(self.observed, axis=0)
        first: npt.NDArray[np.int64] = (~begun).sum(axis=0)
        return first

    @cached_property
    def repeated(self) -> BoolArray:
        """Where the price is that of the row before."""
        repeated: BoolArray = self.returns == 0.0
        return repeated

    @cached_property
    def constant(self) -> BoolArray:
        """The instruments (n,) whose returns have no variance."""
        lowest = np.where(self.observed, self.returns, np.inf).min(axis=0, initial=np.inf)
        highest = np.where(self.observed, self.returns, -np.inf).max(axis=0, initial=-np.inf)
        constant: BoolArray = (self.counts > 1) & (highest < lowest + NO_VARIANCE)
        return constant

    def row_name(self, row: int) -> str:
        return str(self.dates[row]) if self.dates is not None else f"row {self.start + row}"

    def moves(self, column: int) -> tuple[npt.NDArray[np.int64], FloatArray1D]:
        """Return rows and log returns of one instrument, without the missing ones."""
        rows = np.flatnonzero(self.observed[:, column] & (self.returns[:, column] > -1.0))
        return rows, np.log1p(self.returns[rows, column])


def screen(market: MarketSnapshot) -> tuple[DataFinding, ...]:
    """Return what looks wrong in `market`: at most one finding per kind and instrument."""
    panel = _Panel(market)
    return tuple(
        DataFinding(
            kind=kind,
            instrument=None if column == _ALL else panel.instruments[column],
            detail=detail,
        )
        for kind, find in _SCREENS.items()
        for column, detail in find(panel)
    )


def screened(market: MarketSnapshot) -> MarketSnapshot:
    """Return `market` with the findings of `screen`, and those of other kinds that it has."""
    others = [one for one in market.findings if one.kind not in _SCREENS]
    return market.with_remarks((*others, *screen(market)), market.earlier_prices)


def with_new_prices(
    market: MarketSnapshot, prices: FloatArray1D, *, as_of: datetime
) -> MarketSnapshot:
    """Return `market` with new `prices` (n,), and with the earlier ones that a screening needs.

    These are prices that are repeated, and prices from which the new ones jump, until they return.
    """
    marked = market.with_prices(prices, as_of=as_of)
    earlier: dict[str, EarlierPrice] = {}
    suspect = (marked.prices == market.prices) | _has_jumped(market.prices, marked.prices)
    names = [market.instruments[column] for column in np.flatnonzero(suspect).tolist()]
    for name in (*market.earlier_prices, *names):
        column = market.index[name]
        found = market.earlier_prices.get(name)
        before = found or EarlierPrice(float(market.prices[column]), market.as_of)
        price = marked.prices[column : column + 1]
        if price[0] == before.price or _has_jumped(np.array([before.price]), price)[0]:
            earlier[name] = before
    return marked.with_remarks(market.findings, earlier)


def _has_jumped(old: FloatArray1D, new: FloatArray1D) -> BoolArray:
    """Return where two prices above zero differ by `JUMP_FACTOR` or more."""
    with np.errstate(over="ignore"):
        jumped: BoolArray = (new >= JUMP_FACTOR * old) | (old >= JUMP_FACTOR * new)
    return jumped & (old > 0.0) & (new > 0.0)


def require_no_doubt(market: MarketSnapshot) -> None:
    """Raise `DoubtfulMarketError` if `market` has a finding other than a short history or a proxy.

    A share that is new on the exchange has right prices: the limits say what a short window means.
    """
    no_doubt = (FindingKind.SHORT_HISTORY, FindingKind.PROXIED)
    doubts = [one for one in market.findings if one.kind not in no_doubt]
    if not doubts:
        return
    named = "; ".join(f"{one}: {one.detail}" for one in doubts[:_NAMED_DOUBTS])
    more = f"; and {len(doubts) - _NAMED_DOUBTS} more" if len(doubts) > _NAMED_DOUBTS else ""
    raise DoubtfulMarketError(f"{len(doubts)} prices or histories look wrong: {named}{more}.")


#: the column of a finding that concerns all instruments
_ALL = -1
_Found = Iterator[tuple[int, str]]


def _jumps(panel: _Panel) -> _Found:
    with np.errstate(invalid="ignore"):
        large = panel.returns >= SMALL_JUMP_FACTOR - 1.0
        large |= panel.returns <= 1.0 / SMALL_JUMP_FACTOR - 1.0
    in_prices = dict(_jumps_of_prices(panel.market))
    for column in sorted({*np.flatnonzero(large.any(axis=0)).tolist(), *in_prices}):
        rows, moves = panel.moves(column)
        found = [in_prices[column]] if column in in_prices else []
        found += [
            f"{_factor(move)} on {panel.row_name(int(rows[at]))}{remark}"
            for at, move, remark in _jumps_of(moves)
        ]
        if found:
            more = f", and {len(found) - 3} more jumps" if len(found) > 3 else ""
            yield column, "; ".join(found[:3]) + more


def _jumps_of_prices(market: MarketSnapshot) -> _Found:
    for name, earlier in market.earlier_prices.items():
        column = market.index[name]
        price = float(market.prices[column])
        if _has_jumped(np.array([earlier.price]), np.array([price]))[0]:
            move = float(np.log(price) - np.log(earlier.price))
            remark = f", from {earlier.price:g} to {price:g}{_split(move) or _unit(move)}"
            yield column, f"{_factor(move)} in new prices{remark}"


def _jumps_of(moves: FloatArray1D) -> Iterator[tuple[int, float, str]]:
    """Yield index, log return and remark of each jump in the log returns of one instrument."""
    large = np.flatnonzero(np.abs(moves) >= np.log(SMALL_JUMP_FACTOR)).tolist()
    sd = float(np.median(np.abs(moves))) / _NORMAL_MEDIAN if large else 0.0
    undone = -1
    for at in large:
        if at <= undone:
            continue
        move = float(moves[at])
        back = _row_of_return(moves, at, sd)
        if back is not None:
            undone = at + back
            yield at, move, f", back after {back} rows{_unit(move)}"
        elif abs(move) >= np.log(JUMP_FACTOR) or _is_split_by_half(moves, at, sd):
            yield at, move, _split(move) or _unit(move)


def _row_of_return(moves: FloatArray1D, at: int, sd: float) -> int | None:
    """Return after how many rows one move brings the level from before `at` back, or None."""
    levels = np.cumsum(moves[at : at + ROWS_UNTIL_BACK + 1])
    back = np.arange(1, len(levels))
    near = np.maximum(NEAR_LEVEL, 3.0 * sd * np.sqrt(back))
    # A level that drifts back is a market; one that returns by a single move is a correction.
    returns = moves[at + 1 : at + len(levels)] * np.sign(moves[at]) <= -np.log(SMALL_JUMP_FACTOR)
    fits = returns & (np.abs(levels[1:]) <= np.minimum(near, 0.5 * abs(moves[at])))
    return int(back[np.argmax(fits)]) if fits.any() else None


def _is_split_by_half(moves: FloatArray1D, at: int, sd: float) -> bool:
    distance = abs(abs(float(moves[at])) - np.log(1.5))
    after = np.abs(moves[at + 1 : at + 1 + ROWS_AFTER_SPLIT])
    is_near = distance <= max(0.01, min(NEAR_SPLIT, 2.0 * sd))
    return bool(is_near and (after <= QUIET_AFTER_SPLIT * sd).all())


def _factor(move: float) -> str:
    with np.errstate(over="ignore"):
        return f"x{np.exp(move):.3g}"


def _split(move: float) -> str:
    near = min(SPLITS, key=lambda factor: abs(abs(move) - np.log(factor)))
    if abs(abs(move) - np.log(near)) > NEAR_NAMED_SPLIT:
        return ""
    kind = "split" if move < 0 else "reverse split"
    return f", looks like a {kind} by {near:g}"


def _unit(move: float) -> str:
    low, high = UNIT_FACTORS
    is_unit = np.log(low) <= abs(move) <= np.log(high)
    return ", looks like a change of unit" if is_unit else ""


def _stretches(panel: _Panel) -> _Found:
    """Find rows of equal prices that are longer than chance explains."""
    repeats = panel.repeated.sum(axis=0)
    for column in np.flatnonzero((repeats >= STRETCH_ROWS) & ~panel.constant).tolist():
        rows = np.flatnonzero(panel.observed[:, column])
        zero = panel.repeated[rows, column]
        start, length = _longest_run(zero)
        share = (repeats[column] - length) / max(1, len(rows) - length)
        if length >= STRETCH_ROWS and len(rows) * share**length < STRETCHES_BY_CHANCE:
            last = panel.row_name(int(rows[start + length - 1]))
            yield column, f"{length + 1} equal prices in a row until {last}"


def _longest_run(true: BoolArray) -> tuple[int, int]:
    """Return start and length of the longest run of true values; (0, 0) without any."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], true, [False])).astype(np.int8)))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    if not len(starts):
        return 0, 0
    longest = int(lengths.argmax())
    return int(starts[longest]), int(lengths[longest])


def _repeats(panel: _Panel) -> _Found:
    """Find prices that are repeated more often than their smallest step explains."""
    repeats = panel.repeated.sum(axis=0)
    many = repeats >= np.maximum(MANY_REPEATS, REPEATED_SHARE * panel.counts)
    on_weekends = _weekends_repeated(panel)
    for column in np.flatnonzero((many | on_weekends) & ~panel.constant).tolist():
        detail = f"{repeats[column]} of {panel.counts[column]} prices repeated"
        if on_weekends[column]:
            yield column, f"{detail}, most Saturdays and Sundays"
        elif repeats[column] > REPEATED_MULTIPLE * _expected_repeats(panel.moves(column)[1]):
            yield column, detail


def _expected_repeats(moves: FloatArray1D) -> float:
    """Return the number of equal prices that the smallest step of the price explains.

    It is the density of a normal return at 0, times the step, which is the second smallest move.
    """
    expected = 0.0
    for start in range(0, len(moves), STEP_ROWS):
        block = np.abs(moves[start : start + STEP_ROWS])
        sizes = np.sort(block[block > 0.0])
        if len(sizes) > 1:
            sd = float(np.median(sizes)) / _NORMAL_MEDIAN
            expected += len(block) * _NORMAL_DENSITY * float(sizes[1]) / sd
    return expected


def _weekends_repeated(panel: _Panel) -> BoolArray:
    """Return the instruments (n,) that repeat prices on most Saturdays and Sundays, not else."""
    weekend = _weekend(panel.dates, len(panel.returns))
    on_weekend, others = panel.repeated[weekend].sum(axis=0), panel.repeated[~weekend].sum(axis=0)
    n_weekend = panel.observed[weekend].sum(axis=0)
    filled: BoolArray = (on_weekend >= WEEKEND_ROWS) & (on_weekend > SHARED_SHARE * n_weekend)
    filled &= others < 0.5 * (panel.counts - n_weekend)
    return filled


def _stale(panel: _Panel) -> _Found:
    found = dict(_repeated_by_new_prices(panel.market))
    repeats = panel.repeated.sum(axis=0)
    for column in np.flatnonzero((repeats >= STALE_ROWS) & ~panel.constant).tolist():
        moved = np.flatnonzero(~panel.repeated[panel.observed[:, column], column])
        n_equal = int(panel.counts[column] - 1 - moved[-1])
        if n_equal >= STALE_ROWS:
            found.setdefault(column, f"the last {n_equal + 1} prices are equal")
    yield from found.items()


def _repeated_by_new_prices(market: MarketSnapshot) -> _Found:
    for name, earlier in market.earlier_prices.items():
        column = market.index[name]
        is_old = (market.as_of - earlier.as_of).days >= STALE_DAYS
        if is_old and market.prices[column] == earlier.price:
            yield column, f"new prices repeat that of {earlier.as_of:%Y-%m-%d}"


def _constants(panel: _Panel) -> _Found:
    for column in np.flatnonzero(panel.constant).tolist():
        rate = float(panel.returns[panel.observed[:, column], column][0])
        yield column, f"each of {panel.counts[column]} returns is {rate:g}"


def _gaps(panel: _Panel) -> _Found:
    """Find dates without a price on which others with the same calendar have one."""
    if panel.observed.all():
        return
    missing = ~panel.observed & (np.arange(len(panel.returns))[:, None] >= panel.first)
    if panel.market.align is Align.DROP:
        # After a missing price the return of the next row is missing too.
        missing[1:] &= ~missing[:-1] | np.vstack([missing[2:], np.zeros_like(missing[:1])])
    # A row without any price is of a day on which all were closed.
    missing[~panel.observed.any(axis=1)] = False
    weekend = _weekend(panel.dates, len(panel.returns))
    closed = weekend[:, None] & (panel.observed[weekend].mean(axis=0) < 0.5) if weekend.any() else 0
    missing &= ~np.broadcast_to(closed, missing.shape).astype(bool)
    columns = np.flatnonzero(missing.any(axis=0))
    gaps = missing[:, columns] & ~_closures(missing[:, columns], panel.first[columns])
    for i in np.flatnonzero(gaps.any(axis=0)).tolist():
        rows = np.flatnonzero(gaps[:, i])
        first, last = panel.row_name(int(rows[0])), panel.row_name(int(rows[-1]))
        detail = f"{len(rows)} prices missing, the first on {first}, the last on {last}"
        if len(rows) == 1:
            detail = f"1 price missing, on {first}"
        yield int(columns[i]), detail


def _closures(missing: BoolArray, first: npt.NDArray[np.int64]) -> BoolArray:
    """Return where most instruments of the same calendar lack a price too, shape (T, n)."""
    lacks = missing.astype(np.float32)
    alive = (np.arange(len(missing))[:, None] >= first).astype(np.float32)
    shared = lacks.T @ lacks
    either = lacks.sum(axis=0)[:, None] + alive.T @ lacks - shared
    peers = (shared >= SHARED_CLOSURES) & (shared >= SHARED_SHARE * either)
    np.fill_diagonal(peers, val=False)
    closures: BoolArray = (lacks @ peers.T > 0.5 * (alive @ peers.T)) & peers.any(axis=1)
    return closures


def _weekend(dates: Sequence[date] | None, n: int) -> BoolArray:
    if dates is None:
        return np.zeros(n, dtype=bool)
    return np.array([day.weekday() >= 5 for day in dates], dtype=bool)


def _short_histories(panel: _Panel) -> _Found:
    n = len(panel.returns)
    window = panel.market.window_days or n
    if n < window:
        yield _ALL, f"{n} returns for a window of {window} days"
    needed = HISTORY_SHARE * min(window, n)
    for column in np.flatnonzero(n - panel.first < needed).tolist():
        yield column, f"{panel.counts[column]} returns for a window of {min(window, n)} days"


def _not_above_zero(panel: _Panel) -> _Found:
    prices = panel.market.prices
    fell = (panel.returns <= -1.0).any(axis=0)
    for column in np.flatnonzero((prices <= 0.0) | fell).tolist():
        if prices[column] <= 0.0:
            yield column, f"the last price is {prices[column]:g}"
        else:
            row = int((panel.returns[:, column] <= -1.0).argmax())
            yield column, f"the return is -100 % or less on {panel.row_name(row)}"


_SCREENS: Mapping[FindingKind, Callable[[_Panel], _Found]] = {
    FindingKind.JUMP: _jumps,
    FindingKind.CONSTANT: _stretches,
    FindingKind.REPEATED: _repeats,
    FindingKind.STALE_PRICE: _stale,
    FindingKind.ZERO_VARIANCE: _constants,
    FindingKind.GAP: _gaps,
    FindingKind.SHORT_HISTORY: _short_histories,
    FindingKind.PRICE_NOT_ABOVE_ZERO: _not_above_zero,
}
