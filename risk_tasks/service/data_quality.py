"""What looks wrong in the data of the instruments that the portfolios of a block hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.model.quality import DataFinding, bounded
from risk_tasks.wire.request import Detail


def data_quality(
    block: PortfolioBlock,
    market: MarketArrays,
    detail: Detail,
    *of_rows: Mapping[int, tuple[DataFinding, ...]],
) -> dict[int, tuple[DataFinding, ...]]:
    """Return the findings of each row: its own ones in `of_rows`, and those of what it holds.

    Only reports have the details of instruments in words.
    """
    found = _of_instruments(block, market, detail)
    for by_row in reversed(of_rows):
        for row, findings in by_row.items():
            found[row] = (*findings, *found.get(row, ()))
    return found


def _of_instruments(
    block: PortfolioBlock, market: MarketArrays, detail: Detail
) -> dict[int, tuple[DataFinding, ...]]:
    """Portfolios that hold the same instruments with findings share one tuple."""
    if market.is_doubtful is None:
        return {}
    positions = np.flatnonzero(market.is_doubtful[block.instrument])
    positions = positions[block.quantity[positions] != 0.0]
    if not positions.size:
        return {}
    rows = block.rows_of(positions)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    ends = np.append(starts[1:], len(rows))
    instruments = block.instrument[positions]
    named = market.findings if detail.has_reports else market.bare_findings
    shared: dict[bytes, tuple[DataFinding, ...]] = {}
    found = {}
    for row, start, end in zip(rows[starts].tolist(), starts.tolist(), ends.tolist(), strict=True):
        held = instruments[start:end]
        key = held.tobytes()
        if key not in shared:
            shared[key] = bounded(one for index in sorted(held.tolist()) for one in named[index])
        found[row] = shared[key]
    return found
