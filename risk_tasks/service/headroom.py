"""The use of limits by a portfolio, and the headroom that they leave each of its positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from risk_tasks.decisions import Evaluation, passes, utilisation
from risk_tasks.engine import (
    BOUNDED,
    MarketArrays,
    PortfolioBlock,
    compute,
    largest_trades,
    short_windows,
)
from risk_tasks.engine.computation import BoolArray, FloatArray, IntArray
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.limits import Comparison, Limit, ShortWindow
from risk_tasks.model.measures import History, MeasureName, MeasureSettings
from risk_tasks.model.quality import FindingKind
from risk_tasks.model.report import Explanation, Headroom, LimitUse, Severity

#: a trade is reduced at most this often, each time by a larger multiple of the rounding error
_N_STEPS, _FIRST_STEP, _FASTER = 14, 2.0**-52, 8.0
#: the first reductions are by the rounding error of trade and position, later ones of the book
_N_NEAR = 3
#: positions that are checked in one call
_MAX_POSITIONS = 100_000
_NO_LIMIT = -1


class EvaluatedBlock(NamedTuple):
    """A block, its measures, and the evaluation of its limits."""

    block: PortfolioBlock
    market: MarketArrays
    settings: MeasureSettings
    columns: Mapping[MeasureName, MeasureColumn]
    evaluation: Evaluation


def explain_limits(checked: EvaluatedBlock, row: int, limits: Sequence[Limit]) -> Explanation:
    """Explain the use of `limits`, which apply to the portfolio at `row`, and its headroom."""
    severities = {
        found.limit.id: found.severity for found in checked.evaluation.breaches if found.row == row
    }
    rejected = {
        gap.limit.id
        for gap in checked.evaluation.gaps
        if gap.row == row
        and gap.reason == FindingKind.SHORT_WINDOW
        and gap.rule == ShortWindow.REJECT
    }
    seen = [limit for limit in limits if checked.columns[limit.measure_name].has_value[row]]
    hard = [limit for limit in limits if limit.hard is not None or _rejects_short(limit)]
    bounding = [
        one
        for one in hard
        if one in seen and one.hard is not None and _is_bounded(one, checked, row)
    ]
    broken = next(
        (one for one in hard if severities.get(one.id) is Severity.HARD or one.id in rejected), None
    )
    return Explanation(
        limits=tuple(_use(checked, row, limit, severities.get(limit.id)) for limit in seen),
        headroom=tuple(_headroom(checked, row, bounding, broken)),
        not_bounded=tuple(limit.id for limit in hard if limit not in bounding),
    )


def _rejects_short(limit: Limit) -> bool:
    """Whether a short window makes this limit reject."""
    return limit.measure_name.definition.of_past and limit.short_window is ShortWindow.REJECT


def _is_bounded(limit: Limit, checked: EvaluatedBlock, row: int) -> bool:
    """Whether headroom has a method: none for P&L that is scaled by the size of each position."""
    name = limit.measure_name
    if name.definition.of_past and checked.settings.history is History.PER_INSTRUMENT:
        # Also an instrument with a position of zero may be bought.
        held = checked.block.row(row).instrument
        if checked.market.derived.first_returns[held].any():
            return False
    return name.name in BOUNDED


def _use(checked: EvaluatedBlock, row: int, limit: Limit, severity: Severity | None) -> LimitUse:
    observed = float(checked.columns[limit.measure_name].values[row])
    threshold = limit.warn if limit.hard is None else limit.hard
    return LimitUse(
        limit=limit.id,
        measure=limit.measure,
        observed=observed,
        warn=limit.warn,
        hard=limit.hard,
        unit=limit.measure_name.definition.unit.value,
        utilisation=None if threshold is None else utilisation(limit, observed, threshold),
        severity=None if severity is None else severity.value,
    )


def _headroom(
    checked: EvaluatedBlock, row: int, bounding: Sequence[Limit], broken: Limit | None
) -> Iterator[Headroom]:
    book = checked.block.row(row)
    n, names = len(book.instrument), list(checked.market.index)
    limits = [broken] if broken else bounding
    units, bound = np.zeros(2 * n), np.zeros(2 * n, dtype=np.int64)
    if not broken:
        units, bound = _BookHeadroom(checked, book, bounding).find()
    bounds = [
        (float(q), limits[by].id) if np.isfinite(q) and by != _NO_LIMIT else (None, None)
        for q, by in zip(units, bound.tolist(), strict=True)
    ]
    for i, instrument in enumerate(book.instrument.tolist()):
        (buy, buy_bound_by), (sell, sell_bound_by) = bounds[i], bounds[n + i]
        yield Headroom(
            instrument=names[instrument],
            buy=buy,
            sell=sell,
            buy_bound_by=buy_bound_by,
            sell_bound_by=sell_bound_by,
        )


class _BookHeadroom:
    """The headroom of a book that passes `limits`; K legs, first all buys, then all sells."""

    def __init__(
        self, checked: EvaluatedBlock, book: PortfolioBlock, limits: Sequence[Limit]
    ) -> None:
        self._market, self._settings = checked.market, checked.settings
        self._book, self._limits = book, limits
        self._names = tuple(dict.fromkeys(limit.measure_name for limit in limits))
        n = len(book.instrument)
        self._position = np.arange(2 * n) % max(1, n)
        self._side = np.repeat([1.0, -1.0], n)

    def find(self) -> tuple[FloatArray, IntArray]:
        """Return units (K,), +inf without a bound, and the index (K,) of each binding limit."""
        if not self._limits:
            return np.full(len(self._position), np.inf), np.full(len(self._position), _NO_LIMIT)
        bounds = [
            (limit.measure_name, Comparison(limit.comparison), limit.hard)
            for limit in self._limits
            if limit.hard is not None
        ]
        found = largest_trades(self._book, self._market, self._settings, bounds)
        units, bound = found.min(axis=0), found.argmin(axis=0)
        bound = np.where(np.isfinite(units), bound, _NO_LIMIT)
        self._stop_at_start(units, bound)
        self._stop_at_zero(units, bound)
        self._reduce(units)
        return units, bound

    def _stop_at_start(self, units: FloatArray, bound: IntArray) -> None:
        """Allow no trade in a position of zero whose instrument makes the window short."""
        rejecting = [i for i, limit in enumerate(self._limits) if _rejects_short(limit)]
        legs = np.flatnonzero(self._book.quantity[self._position] == 0.0)
        if not rejecting or not len(legs):
            return
        traded = self._traded(legs, np.ones(len(legs)))
        columns = compute(traded, self._market, self._names, self._settings)
        short = legs[self._is_short(traded, columns)]
        units[short], bound[short] = 0.0, rejecting[0]

    def _stop_at_zero(self, units: FloatArray, bound: IntArray) -> None:
        """Check the books in which a position becomes zero, where a measure may be discontinuous.

        A position of zero needs no returns and has no share of the book.
        """
        held = self._book.quantity[self._position]
        legs = np.flatnonzero((held * self._side < 0.0) & (units >= np.abs(held)))
        breaks = self._breaks(legs, np.abs(held[legs]))
        for leg, at in zip(legs, breaks, strict=True):
            if at != _NO_LIMIT:
                units[leg], bound[leg] = abs(held[leg]), at

    def _reduce(self, units: FloatArray) -> None:
        """Reduce each trade until its book passes all limits, to 0 where no trade does.

        The closed form may exceed a limit by the rounding error of the trade and of the book.
        """
        price = np.abs(self._market.prices[self._book.instrument])
        held = np.abs(self._book.quantity)
        legs = np.flatnonzero(np.isfinite(units) & (units > 0.0))
        with np.errstate(all="ignore"):
            near = units + held[self._position]
            worth = np.where(price > 0.0, (held * price).sum() / price, 0.0)
            far = worth[self._position]
        for n_taken in range(_N_STEPS):
            legs = legs[self._breaks(legs, units[legs]) != _NO_LIMIT]
            if not len(legs):
                return
            step = _FIRST_STEP * _FASTER**n_taken * near[legs]
            if n_taken >= _N_NEAR:
                step += _FIRST_STEP * _FASTER ** (n_taken - _N_NEAR) * far[legs]
            units[legs] = np.maximum(0.0, units[legs] - step)
            legs = legs[units[legs] > 0.0]
        units[legs] = 0.0

    def _breaks(self, legs: IntArray, units: FloatArray) -> IntArray:
        """Return the index of the first limit that each trade breaks or makes undefined, or -1."""
        n = len(self._book.instrument)
        chunk = max(1, _MAX_POSITIONS // max(1, n))
        found = [
            self._first_broken(legs[start : start + chunk], units[start : start + chunk])
            for start in range(0, len(legs), chunk)
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *found])

    def _first_broken(self, legs: IntArray, units: FloatArray) -> IntArray:
        traded = self._traded(legs, units)
        columns = compute(traded, self._market, self._names, self._settings)
        broken: BoolArray = np.array(
            [
                ~columns[limit.measure_name].has_value
                | passes(limit, columns[limit.measure_name].values, limit.hard or 0.0)
                for limit in self._limits
            ]
        )
        rejecting = [_rejects_short(limit) for limit in self._limits]
        if any(rejecting):
            broken[rejecting] |= self._is_short(traded, columns)
        return np.where(broken.any(axis=0), broken.argmax(axis=0), _NO_LIMIT)

    def _is_short(
        self, traded: PortfolioBlock, columns: Mapping[MeasureName, MeasureColumn]
    ) -> BoolArray:
        short = np.zeros(len(traded), dtype=bool)
        counts = [column.n_observations for column in columns.values()]
        counted = next((count for count in counts if count is not None), None)
        if counted is not None:
            short[list(short_windows(traded, self._market, self._settings, counted))] = True
        return short

    def _traded(self, legs: IntArray, units: FloatArray) -> PortfolioBlock:
        """Return a block of the books after these trades."""
        k, n = len(legs), len(self._book.instrument)
        quantity = np.tile(self._book.quantity, (k, 1))
        quantity[np.arange(k), self._position[legs]] += self._side[legs] * units
        return PortfolioBlock(
            offsets=np.arange(k + 1, dtype=np.int64) * n,
            instrument=np.tile(self._book.instrument, k),
            quantity=quantity.ravel(),
            cash=np.repeat(self._book.cash, k),
            nav=np.repeat(self._book.nav, k),
        )
