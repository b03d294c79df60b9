"""The functions of each measure, and the entry points of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from risk_tasks.engine import (
    exposures,
    history,
    monte_carlo,
    parametric,
    positions,
    stress,
    weighted,
)
from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.common_rows import Part, parts_of
from risk_tasks.engine.computation import Computation, FloatArray, Functions
from risk_tasks.engine.market import MarketArrays
from risk_tasks.engine.scaling import scaled
from risk_tasks.kernels.jit import KernelNotReadyError
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import History, MeasureName, MeasureSettings
from risk_tasks.model.registry import Qualifier

#: the functions of every measure, by its name
FUNCTIONS: Mapping[str, Functions] = MappingProxyType(
    {
        **exposures.FUNCTIONS,
        **history.FUNCTIONS,
        **parametric.FUNCTIONS,
        **weighted.FUNCTIONS,
        **monte_carlo.FUNCTIONS,
        **positions.FUNCTIONS,
        **stress.FUNCTIONS,
    }
)


def compute(
    block: PortfolioBlock,
    market: MarketArrays,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> dict[MeasureName, MeasureColumn]:
    """Return one column (P,) for each of `names`; intermediate results are shared.

    Units and signs are those of the registry. A value is finite, or NaN with the reason as its
    outcome; no finite input raises an error. A measure whose kernel is not compiled by the deadline
    of `kernels_until` is `NOT_IN_TIME`.
    """
    settings = market.in_rows(settings)
    if market.calendars is None and settings.history is History.COMMON:
        return _columns(block, market, names, settings)
    by_others: dict[tuple[int, ...], list[MeasureName]] = {}
    for name in names:
        if name.definition.of_past:
            by_others.setdefault(_others(market, name), []).append(name)
    at_once = [name for name in names if not name.definition.of_past]
    columns = _columns(block, market, at_once, settings)
    for others, of_past in by_others.items():
        parts = _parts(block, market, settings, others)
        found = [_columns(one.block, one.market, of_past, settings) for one in parts]
        for name in of_past:
            columns[name] = MeasureColumn.joined(
                len(block), [(one.rows, by[name]) for one, by in zip(parts, found, strict=True)]
            )
    return {name: columns[name] for name in names}


def _parts(
    block: PortfolioBlock,
    market: MarketArrays,
    settings: MeasureSettings,
    others: tuple[int, ...],
) -> list[Part]:
    """Return the portfolios by the markets on which their past is computed."""
    parts = parts_of(block, market, *others)
    if settings.history is History.COMMON:
        return parts
    names = list(market.index)
    return [one for part in parts for one in scaled(part, [names[at] for at in others])]


def _others(market: MarketArrays, name: MeasureName) -> tuple[int, ...]:
    """Return the instrument that `name` refers to: it too must trade on the common rows."""
    is_of_one = name.definition.qualifier is Qualifier.INSTRUMENT
    index = market.index.get(name.item or "") if is_of_one else None
    return () if index is None else (index,)


def _columns(
    block: PortfolioBlock,
    market: MarketArrays,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> dict[MeasureName, MeasureColumn]:
    with np.errstate(all="ignore"):
        run = _computation(block, market, names, settings)
        return {name: _column(run, name) for name in names}


def _column(run: Computation, name: MeasureName) -> MeasureColumn:
    try:
        return FUNCTIONS[name.name].column(run, name)
    except KernelNotReadyError:
        return MeasureColumn.missing(len(run.block), Outcome.NOT_IN_TIME)


def contributions(
    block: PortfolioBlock,
    market: MarketArrays,
    name: MeasureName,
    settings: MeasureSettings,
    row: int,
) -> FloatArray:
    """Return the contributions of the positions of the portfolio at index `row` to `name`.

    Shape: (positions of that portfolio,), in the unit of the measure. They sum to the measure,
    except those to `concentration`, which sum to 1.
    """
    with np.errstate(all="ignore"):
        run = _computation_of_row(block, market, name, settings, row)[0]
        return FUNCTIONS[name.name].parts(run, name)


def outcomes_behind(
    block: PortfolioBlock,
    market: MarketArrays,
    name: MeasureName,
    settings: MeasureSettings,
    row: int,
    n: int,
) -> list[tuple[int, float]]:
    """Return at most `n` past outcomes that determine `name` of the portfolio at index `row`.

    Each is the index of its last day in the market's returns and its P&L in base currency, the
    worst first. The list is empty for a measure that does not depend on single outcomes.
    """
    outcomes_of = history.OUTCOMES.get(name.name)
    if outcomes_of is None:
        return []
    with np.errstate(all="ignore"):
        run, part = _computation_of_row(block, market, name, settings, row)
        found = outcomes_of(run, name)[:n]
        last_day = run.settings.outcome_days - 1
        return [(part.row_in_market(int(one) + last_day), float(run.pnl[0][one])) for one in found]


def _computation_of_row(
    block: PortfolioBlock,
    market: MarketArrays,
    name: MeasureName,
    settings: MeasureSettings,
    row: int,
) -> tuple[Computation, Part]:
    book = block.row(row)
    if name.definition.of_past:
        part = _parts(book, market, settings, _others(market, name))[0]
    else:
        part = Part(np.zeros(1, dtype=np.int64), book, market, None)
    return _computation(part.block, part.market, [name], market.in_rows(settings)), part


def _computation(
    block: PortfolioBlock,
    market: MarketArrays,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> Computation:
    n_outcomes = market.panel_for(settings).shape[1]
    depths = [
        depth(n_outcomes, name, settings) for name in names if (depth := FUNCTIONS[name.name].depth)
    ]
    return Computation(block, market, settings, max(depths, default=1), names)
