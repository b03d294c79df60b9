"""Books with young instruments under `History.PER_INSTRUMENT`: each position by its own window.

On a day before the first return of a position, the P&L of the positions that have started is scaled
by the gross exposure of all of them. Equivalently, the missing return of a young position is the
P&L of the others per unit of their gross exposure, in the direction of the position. So a book gets
a market of its own, in which these returns are filled, and each measure is computed as always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.common_rows import Part
from risk_tasks.engine.market import DerivedPanels, MarketArrays
from risk_tasks.model.measures import History, MeasureSettings
from risk_tasks.model.quality import DataFinding, FindingKind, bounded

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: A day counts only if the positions that have started are this share of the gross exposure;
#: `docs/decisions/0014-short-windows.md` has the measurement. Exact in binary.
LEAST_COVERAGE = 0.75
#: bytes of the returns that are filled together
_PANEL_BYTES = 16 << 20


def young_rows(block: PortfolioBlock, market: MarketArrays) -> IntArray:
    """Return the indices of the portfolios that hold an instrument whose returns start late."""
    young = market.derived.first_returns[block.instrument] > 0
    if young.any():
        young &= market.values(block) != 0.0
    return np.unique(block.rows_of(np.flatnonzero(young)))


def scaled(part: Part, items: Sequence[str]) -> Iterator[Part]:
    """Yield `part` in parts, those with young portfolios on markets with their filled returns.

    The market of a part also has the instruments in `items`; it then belongs to one portfolio. An
    instrument of several portfolios is in the market once for each of them.
    """
    block, market = part.block, part.market
    young = young_rows(block, market)
    if not len(young):
        yield part
        return
    old = np.setdiff1d(np.arange(len(block)), young)
    if len(old):
        yield part._replace(rows=part.rows[old], block=block.rows(old))
    named = np.array([market.index[item] for item in items], dtype=np.int64)
    alone = len(items) > 0 or market.covariance is not None
    n_together = max(1, _PANEL_BYTES // max(1, 8 * market.n_observations))
    group = young if alone else np.cumsum(np.diff(block.offsets)[young]) // n_together
    for one in np.unique(group):
        rows = young[group == one]
        of_rows, filled = _with_market(block.rows(rows), market, named)
        yield part._replace(rows=part.rows[rows], block=of_rows, market=filled)


def _with_market(
    block: PortfolioBlock, market: MarketArrays, named: IntArray
) -> tuple[PortfolioBlock, MarketArrays]:
    universes, columns, n = [], [], 0
    for start, stop in zip(block.offsets[:-1].tolist(), block.offsets[1:].tolist(), strict=True):
        held = block.instrument[start:stop]
        universe = np.union1d(held, named)
        universes.append(universe)
        columns.append(n + np.searchsorted(universe, held))
        n += len(universe)
    source, column = np.concatenate(universes), np.concatenate(columns)
    panel = market.panel[source]
    value, first = np.zeros(n), market.derived.first_returns[source]
    value[column] = market.values(block)
    start = 0
    for universe in universes:
        stop = start + len(universe)
        _fill(panel[start:stop], value[start:stop], first[start:stop])
        start = stop
    names, given = list(market.index), market.covariance
    return replace(block, instrument=column), replace(
        market,
        index={names[at]: i for i, at in enumerate(source.tolist())} if len(universes) == 1 else {},
        prices=market.prices[source],
        panel=panel,
        derived=DerivedPanels(panel),
        scenarios={},
        streams=market.streams[source],
        covariance=None if given is None else given.of_instruments(source),
        calendars=None,
    )


def _fill(panel: FloatArray, value: FloatArray, first: IntArray) -> None:
    """Fill the returns (m, T) of the held positions before their first one, in place."""
    held = np.flatnonzero(value != 0.0)
    latest = int(first[held].max(initial=0))
    pnl, started, gross = np.zeros(latest), np.zeros(latest), 0.0
    for i in held.tolist():
        begin = min(int(first[i]), latest)
        pnl[begin:] += value[i] * panel[i, begin:latest]
        started[begin:] += abs(value[i])
        gross += abs(value[i])
    with np.errstate(all="ignore"):
        rate = np.where(started >= LEAST_COVERAGE * gross, pnl / started, np.nan)
    for i in held.tolist():
        panel[i, : first[i]] = np.sign(value[i]) * rate[: first[i]]


def scaled_instruments(
    block: PortfolioBlock, market: MarketArrays, settings: MeasureSettings
) -> dict[int, tuple[DataFinding, ...]]:
    """Return by row the instruments before whose first return the P&L of the others is scaled."""
    if settings.history is History.COMMON:
        return {}
    first, names = market.derived.first_returns, list(market.index)
    findings: dict[int, DataFinding] = {}
    found = {}
    for row in young_rows(block, market).tolist():
        book = block.row(row)
        held = market.values(book) != 0.0
        young = sorted(book.instrument[held & (first[book.instrument] > 0)].tolist())
        for at in young:
            if at not in findings:
                since = market.since(int(first[at]))
                detail = f"{since}; before, the P&L of the other positions is scaled"
                findings[at] = DataFinding(
                    kind=FindingKind.SCALED, instrument=names[at], detail=detail
                )
        found[row] = bounded(findings[at] for at in young)
    return found
