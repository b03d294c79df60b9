"""How much of its limits a portfolio uses, and how much room they leave each of its positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from risk_tasks.decisions import Evaluation, passes, utilisation
from risk_tasks.engine import BOUNDED, MarketArrays, PortfolioBlock, compute, largest_trades
from risk_tasks.engine.computation import BoolArray, FloatArray, IntArray
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.explanation import Explanation, Headroom, LimitUse
from risk_tasks.model.limits import Comparison, Limit
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.report import Severity

#: a trade is taken back by ever more of what rounding may have added, this often at most
_N_STEPS, _FIRST_STEP, _FASTER = 14, 2.0**-52, 8.0
#: first by what the trade and the position may be rounded by, then by what the book may be as well
_N_NEAR = 3
#: how many positions are checked at once
_MAX_POSITIONS = 100_000
_NOWHERE = -1


class Told(NamedTuple):
    """A block that is computed and held against its limits."""

    block: PortfolioBlock
    market: MarketArrays
    settings: MeasureSettings
    columns: Mapping[MeasureName, MeasureColumn]
    evaluation: Evaluation


def explain_limits(told: Told, row: int, limits: Sequence[Limit]) -> Explanation:
    """Explain the portfolio at `row`, to which `limits` apply."""
    severities = {
        found.limit.id: found.severity for found in told.evaluation.breaches if found.row == row
    }
    seen = [limit for limit in limits if told.columns[limit.measure_name].has_value[row]]
    hard = [limit for limit in limits if limit.hard is not None]
    bounding = [one for one in hard if one in seen and one.measure_name.name in BOUNDED]
    broken = next((one for one in hard if severities.get(one.id) is Severity.HARD), None)
    return Explanation(
        limits=tuple(_use(told, row, limit, severities.get(limit.id)) for limit in seen),
        headroom=tuple(_headroom(told, row, bounding, broken)),
        not_bounded=tuple(limit.id for limit in hard if limit not in bounding),
    )


def _use(told: Told, row: int, limit: Limit, severity: Severity | None) -> LimitUse:
    observed = float(told.columns[limit.measure_name].values[row])
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
    told: Told, row: int, bounding: Sequence[Limit], broken: Limit | None
) -> Iterator[Headroom]:
    book = told.block.row(row)
    n, names = len(book.instrument), list(told.market.index)
    limits = [broken] if broken else bounding
    units, bound = np.zeros(2 * n), np.zeros(2 * n, dtype=np.int64)
    if not broken:
        units, bound = _Room(told, book, bounding).find()
    rooms = [
        (float(q), limits[by].id) if np.isfinite(q) and by != _NOWHERE else (None, None)
        for q, by in zip(units, bound.tolist(), strict=True)
    ]
    for place, instrument in enumerate(book.instrument.tolist()):
        (buy, buy_bound_by), (sell, sell_bound_by) = rooms[place], rooms[n + place]
        yield Headroom(
            instrument=names[instrument],
            buy=buy,
            sell=sell,
            buy_bound_by=buy_bound_by,
            sell_bound_by=sell_bound_by,
        )


class _Room:
    """The room of one book that breaks none of `limits`; K legs, first all that buy, then sell."""

    def __init__(self, told: Told, book: PortfolioBlock, limits: Sequence[Limit]) -> None:
        self._market, self._settings = told.market, told.settings
        self._book, self._limits = book, limits
        self._names = tuple(dict.fromkeys(limit.measure_name for limit in limits))
        n = len(book.instrument)
        self._place = np.arange(2 * n) % max(1, n)
        self._side = np.repeat([1.0, -1.0], n)

    def find(self) -> tuple[FloatArray, IntArray]:
        """Return units (K,), +inf for no end, and the place (K,) of the limit that ends each."""
        if not self._limits:
            return np.full(len(self._place), np.inf), np.full(len(self._place), _NOWHERE)
        bounds = [
            (limit.measure_name, Comparison(limit.comparison), limit.hard)
            for limit in self._limits
            if limit.hard is not None
        ]
        found = largest_trades(self._book, self._market, self._settings, bounds)
        units, bound = found.min(axis=0), found.argmin(axis=0)
        bound = np.where(np.isfinite(units), bound, _NOWHERE)
        self._stop_at_nothing(units, bound)
        self._step_back(units)
        return units, bound

    def _stop_at_nothing(self, units: FloatArray, bound: IntArray) -> None:
        """Look at the one book on the way that may differ from those beside it.

        What is not held misses no return and has no share, so that a measure may leap there.
        """
        held = self._book.quantity[self._place]
        legs = np.flatnonzero((held * self._side < 0.0) & (units >= np.abs(held)))
        breaks = self._breaks(legs, np.abs(held[legs]))
        for leg, at in zip(legs, breaks, strict=True):
            if at != _NOWHERE:
                units[leg], bound[leg] = abs(held[leg]), at

    def _step_back(self, units: FloatArray) -> None:
        """Take each trade back until the book that it leads to passes, to nothing where none does.

        What is found in closed form may be off by what rounding adds, of the trade and of the book.
        """
        price = np.abs(self._market.prices[self._book.instrument])
        held = np.abs(self._book.quantity)
        legs = np.flatnonzero(np.isfinite(units) & (units > 0.0))
        with np.errstate(all="ignore"):
            near = units + held[self._place]
            far = ((held * price).sum() / price)[self._place]
        for n_taken in range(_N_STEPS):
            legs = legs[self._breaks(legs, units[legs]) != _NOWHERE]
            if not len(legs):
                return
            step = _FIRST_STEP * _FASTER**n_taken * near[legs]
            if n_taken >= _N_NEAR:
                step += _FIRST_STEP * _FASTER ** (n_taken - _N_NEAR) * far[legs]
            units[legs] = np.maximum(0.0, units[legs] - step)
            legs = legs[units[legs] > 0.0]
        units[legs] = 0.0

    def _breaks(self, legs: IntArray, units: FloatArray) -> IntArray:
        """Return the place of the first limit that each trade breaks or leaves untold, or -1."""
        n = len(self._book.instrument)
        chunk = max(1, _MAX_POSITIONS // max(1, n))
        found = [
            self._first_broken(legs[start : start + chunk], units[start : start + chunk])
            for start in range(0, len(legs), chunk)
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *found])

    def _first_broken(self, legs: IntArray, units: FloatArray) -> IntArray:
        columns = compute(self._traded(legs, units), self._market, self._names, self._settings)
        broken: BoolArray = np.array(
            [
                ~columns[limit.measure_name].has_value
                | passes(limit, columns[limit.measure_name].values, limit.hard or 0.0)
                for limit in self._limits
            ]
        )
        return np.where(broken.any(axis=0), broken.argmax(axis=0), _NOWHERE)

    def _traded(self, legs: IntArray, units: FloatArray) -> PortfolioBlock:
        """Return a block of the books that these trades lead to."""
        k, n = len(legs), len(self._book.instrument)
        quantity = np.tile(self._book.quantity, (k, 1))
        quantity[np.arange(k), self._place[legs]] += self._side[legs] * units
        return PortfolioBlock(
            offsets=np.arange(k + 1, dtype=np.int64) * n,
            instrument=np.tile(self._book.instrument, k),
            quantity=quantity.ravel(),
            cash=np.repeat(self._book.cash, k),
            nav=np.repeat(self._book.nav, k),
        )
