"""How many past outcomes a portfolio should have, and when it has too few."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.common_rows import common_rows
from risk_tasks.engine.market import MarketArrays
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.quality import DataFinding, FindingKind

IntArray = npt.NDArray[np.int64]

#: A window with fewer than this share of the expected outcomes is short;
#: `docs/decisions/0014-short-windows.md` has the measurement. Exact in binary.
LEAST_SHARE = 0.75


def expected_outcomes(
    block: PortfolioBlock, market: MarketArrays, settings: MeasureSettings
) -> IntArray:
    """Return (P,): the outcomes that each portfolio should have.

    It has them if no position has a late first price, and the panel is as long as the window of the
    market. A portfolio of several calendars should have the rows of the calendar with the fewest.
    """
    n_rows = np.full(len(block), market.window_days or market.n_observations)
    for rows, common in common_rows(block, market):
        if common is not None:
            n_rows[rows] = common.expected
    expected: IntArray = np.maximum(0, n_rows - market.in_rows(settings).outcome_days + 1)
    return expected


def _most_outcomes(market: MarketArrays, settings: MeasureSettings) -> int:
    n_rows = market.window_days or market.n_observations
    return max(0, n_rows - market.in_rows(settings).outcome_days + 1)


def short_windows(
    block: PortfolioBlock,
    market: MarketArrays,
    settings: MeasureSettings,
    n_observations: IntArray,
) -> dict[int, tuple[DataFinding, ...]]:
    """Return, by row, the finding that the portfolio has too few of the expected outcomes.

    `n_observations` (P,) is negative for rows without outcomes, which are left out.
    """
    if not len(block) or n_observations.min() >= LEAST_SHARE * _most_outcomes(market, settings):
        return {}
    expected = expected_outcomes(block, market, settings)
    short = np.flatnonzero((n_observations >= 0) & (n_observations < LEAST_SHARE * expected))
    facts = zip(
        _youngest(block.rows(short), market),
        n_observations[short].tolist(),
        expected[short].tolist(),
        strict=True,
    )
    # Many portfolios of a block are short for the same reason.
    findings: dict[tuple[int | None, int, int], tuple[DataFinding, ...]] = {}
    by_row = {}
    for row, of_row in zip(short.tolist(), facts, strict=True):
        if of_row not in findings:
            findings[of_row] = (_finding(market, *of_row),)
        by_row[row] = findings[of_row]
    return by_row


def _youngest(block: PortfolioBlock, market: MarketArrays) -> list[int | None]:
    """Return for each portfolio the position whose returns start last; None if all start at once.

    Positions worth 0 are not held.
    """
    first = market.derived.first_returns[block.instrument]
    first[market.values(block) == 0.0] = 0
    order = np.lexsort((first, block.rows_of(np.arange(len(first)))))
    last = order[block.offsets[1:] - 1] if len(order) else np.zeros(len(block), dtype=np.int64)
    return [
        int(block.instrument[at]) if size and first[at] else None
        for at, size in zip(last.tolist(), np.diff(block.offsets).tolist(), strict=True)
    ]


def _finding(
    market: MarketArrays, youngest: int | None, n_observations: int, expected: int
) -> DataFinding:
    counted = f"{n_observations:,} of {expected:,} expected outcomes, below {LEAST_SHARE:.0%}"
    if youngest is None:
        return DataFinding(kind=FindingKind.SHORT_WINDOW, detail=counted)
    name = next(name for name, at in market.index.items() if at == youngest)
    start = int(market.derived.first_returns[youngest])
    return DataFinding(
        kind=FindingKind.SHORT_WINDOW,
        instrument=name,
        detail=f"{counted}; it has {market.since(start)}",
    )
