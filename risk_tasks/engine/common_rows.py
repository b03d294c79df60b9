"""Markets on the dates on which all instruments of a portfolio trade."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.calendars import Calendars
from risk_tasks.engine.market import DerivedPanels, MarketArrays
from risk_tasks.kernels.calendars import spanning_returns
from risk_tasks.model.quality import DataFinding, FindingKind

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CommonRows:
    """The rows of the market on which portfolios with the same calendars are computed.

    A return goes from the row `after` (K,), -1 for the date before all rows, to `until` (K,).
    `dropped` has the rows whose return spans too many days; `expected` is the number of rows that a
    portfolio should have: those of its calendar with the fewest rows, in a panel that is as long as
    the window.
    """

    after: IntArray
    until: IntArray
    dropped: IntArray
    expected: int


class Part(NamedTuple):
    """Portfolios of a block that are computed on one market.

    `rows` (P,) are their indices in the block. `common` is None on the market itself.
    """

    rows: IntArray
    block: PortfolioBlock
    market: MarketArrays
    common: CommonRows | None

    def row_in_market(self, outcome: int) -> int:
        """Return the row of the market that ends a row of the part."""
        return outcome if self.common is None else int(self.common.until[outcome])


def parts_of(block: PortfolioBlock, market: MarketArrays, *others: int) -> list[Part]:
    """Return `block` in parts, each with the market on the rows that its portfolios have in common.

    `others` are instruments that trade on those rows too, held or not. Portfolios without gaps
    are computed on `market` itself.
    """
    every, calendars = np.arange(len(block)), market.calendars
    if calendars is None or not len(block):
        return [Part(every, block, market, None)]
    return [
        Part(
            rows,
            *_on_common_rows(
                block if len(rows) == len(block) else block.rows(rows),
                market,
                calendars,
                codes,
                others,
            ),
        )
        for codes, rows in _groups(block, market, calendars, others)
    ]


def _on_common_rows(
    block: PortfolioBlock,
    market: MarketArrays,
    calendars: Calendars,
    codes: tuple[int, ...],
    others: Sequence[int],
) -> tuple[PortfolioBlock, MarketArrays, CommonRows | None]:
    rows = _common_rows(calendars, codes, market)
    if rows is None:
        return block, market, None
    used = np.union1d(block.instrument, np.array(others, dtype=np.int64))
    if 2 * len(used) >= len(market.index):
        used = np.arange(len(market.index))
    small = _derived(market, calendars, codes, rows, used)
    return replace(block, instrument=np.searchsorted(used, block.instrument)), small, rows


def _groups(
    block: PortfolioBlock, market: MarketArrays, calendars: Calendars, others: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], IntArray]]:
    """Yield the calendars with closed days that portfolios have, and these portfolios."""
    code = calendars.code[block.instrument]
    gapped = np.flatnonzero((market.values(block) != 0.0) & (code > 0))
    has = np.zeros((len(block), len(calendars.closed)), dtype=np.bool_)
    has[block.rows_of(gapped), code[gapped]] = True
    has[:, calendars.code[list(others)]] = True
    has[:, 0] = False
    packed = np.packbits(has, axis=1)
    keys = packed.view(f"V{packed.shape[1]}")[:, 0]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    for number, row in enumerate(first.tolist()):
        codes = tuple(np.flatnonzero(has[row]).tolist())
        yield codes, np.flatnonzero(group == number)


def _common_rows(
    calendars: Calendars, codes: tuple[int, ...], market: MarketArrays
) -> CommonRows | None:
    """Return the rows on which all calendars `codes` trade; None if these are all rows."""
    if not codes and not calendars.cuts_all:
        return None
    closed = calendars.closed[list(codes)]
    n = market.n_observations
    until = np.flatnonzero(~closed.any(axis=0)) if codes else np.arange(n)
    after = np.concatenate([[-1], until[:-1]])[: len(until)]
    expected = n - int(closed.sum(axis=1).max(initial=0))
    long = np.zeros(len(until), dtype=np.bool_)
    if calendars.days is not None and calendars.max_gap_days is not None:
        long = calendars.days[until + 1] - calendars.days[after + 1] > calendars.max_gap_days
    if market.window_days is not None:
        kept = np.flatnonzero(~long)[-market.window_days :]
        start = int(kept[0]) if len(kept) == market.window_days else 0
        after, until, long = after[start:], until[start:], long[start:]
        # If the panel has fewer rows than the window, it is scaled to the length of the window.
        expected = min(expected * max(n, market.window_days) // max(1, n), market.window_days)
    else:
        expected -= int(long.sum())
    return CommonRows(after[~long], until[~long], until[long], max(0, expected))


def common_rows(
    block: PortfolioBlock, market: MarketArrays
) -> Iterator[tuple[IntArray, CommonRows | None]]:
    """Yield portfolios of `block` with the rows on which they are computed; None for all rows."""
    calendars = market.calendars
    if calendars is None:
        yield np.arange(len(block)), None
        return
    for codes, rows in _groups(block, market, calendars, ()):
        yield rows, _common_rows(calendars, codes, market)


def dropped_rows(block: PortfolioBlock, market: MarketArrays) -> dict[int, tuple[DataFinding, ...]]:
    """Return, by row of `block`, the finding that returns over too many days are left out."""
    found: dict[int, tuple[DataFinding, ...]] = {}
    if market.calendars is None:
        return found
    for rows, common in common_rows(block, market):
        if common is None or not len(common.dropped):
            continue
        last = (
            "" if market.dates is None else f", the last until {market.dates[common.dropped[-1]]}"
        )
        finding = DataFinding(
            kind=FindingKind.DROPPED_ROWS,
            detail=f"{len(common.dropped)} returns over more than "
            f"{market.calendars.max_gap_days} days left out{last}",
        )
        found |= dict.fromkeys(rows.tolist(), (finding,))
    return found


def _derived(
    market: MarketArrays,
    calendars: Calendars,
    codes: tuple[int, ...],
    rows: CommonRows,
    used: IntArray,
) -> MarketArrays:
    """Return the market of the instruments `used` (m,) on `rows`."""

    def make() -> DerivedPanels:
        panel = np.empty((len(used), len(rows.until)))
        spanning_returns(market.panel, used, calendars.first, rows.after, rows.until, panel)
        return DerivedPanels(panel)

    derived = calendars.panels.get((codes, used.tobytes()), make)
    panel = derived.of_days
    names, given = list(market.index), market.covariance
    return replace(
        market,
        index={names[i]: at for at, i in enumerate(used.tolist())},
        prices=market.prices[used],
        panel=panel,
        largest_return=float(np.nanmax(np.abs(panel), initial=0.0)),
        derived=derived,
        scenarios={name: shocks.of(used) for name, shocks in market.scenarios.items()},
        streams=market.streams[used],
        covariance=None if given is None else given.of_instruments(used),
        dates=None if market.dates is None else market.dates[rows.until],
        calendars=None,
    )
