"""Intermediate results that the measures of one block share, and the choice of ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil, floor
from statistics import NormalDist
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.market import MarketArrays
from risk_tasks.kernels.history import outcomes, profit_and_loss
from risk_tasks.kernels.positions import concentration, exposure
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import (
    MeasureName,
    MeasureSettings,
    VarConvention,
    min_observations,
    tail_probability,
    tail_rank,
    var_position,
)

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

Shared = TypeVar("Shared")

#: the square of a larger P&L overflows
_LARGEST_PNL = 1e150
#: no outcome is this many standard deviations below the mean
_FAR = 40.0


class Computation:
    """One block against one market, for the measures in `names`.

    Each result is computed once, when a measure needs it. `n_worst` is the number of worst past
    outcomes that the measures read.
    """

    def __init__(
        self,
        block: PortfolioBlock,
        market: MarketArrays,
        settings: MeasureSettings,
        n_worst: int,
        names: Sequence[MeasureName] = (),
    ) -> None:
        self.block = block
        self.market = market
        self.settings = settings
        #: scales P&L over the days of one outcome to the horizon, by the square root of time
        self.horizon_scale = float(np.sqrt(settings.horizon_days / settings.outcome_days))
        self.panel = market.panel_for(settings)
        self.names = names
        self._n_worst = n_worst
        self._shared: dict[Callable[[Computation], Any], Any] = {}

    def shared(self, make: Callable[[Computation], Shared]) -> Shared:
        """Return `make(self)`, computed once for all measures."""
        if make not in self._shared:
            self._shared[make] = make(self)
        made: Shared = self._shared[make]
        return made

    @cached_property
    def value(self) -> FloatArray:
        """V, (N,): signed value of each position, base currency."""
        return self.market.values(self.block)

    @cached_property
    def exposures(self) -> FloatArray:
        """(P, 4): market value, long, short, gross; base currency; each the exact sum, rounded."""
        out = np.empty((len(self.block), 4))
        exposure(self.block.offsets, self.value, out)
        return out

    @cached_property
    def gross(self) -> FloatArray:
        gross: FloatArray = np.ascontiguousarray(self.exposures[:, 3])
        return gross

    @cached_property
    def shares(self) -> FloatArray:
        """(P, 2): largest share of gross, and the sum of squared shares."""
        out = np.empty((len(self.block), 2))
        concentration(self.block.offsets, self.value, self.gross, out)
        return out

    @cached_property
    def nav(self) -> FloatArray:
        """(P,): net asset value as given, else market value plus cash, else NaN."""
        implied = self.exposures[:, 0] + self.block.cash
        return np.where(np.isnan(self.block.nav), implied, self.block.nav)

    @cached_property
    def all_exposed(self) -> bool:
        """Whether every portfolio has a positive, finite exposure, so that no row needs a mark."""
        return bool(self.gross.min(initial=np.inf) > 0 and self.gross.max(initial=0.0) < np.inf)

    @cached_property
    def all_with_nav(self) -> bool:
        """Whether every net asset value is known, positive and finite."""
        return bool(self.nav.min(initial=np.inf) > 0 and self.nav.max(initial=0.0) < np.inf)

    @cached_property
    def all_observed(self) -> bool:
        """Whether every portfolio has all observations, and P&L that can be squared."""
        return self.has_full_windows and not self.overflows.any()

    @cached_property
    def has_full_windows(self) -> bool:
        n = self.n_outcomes
        return bool(self.n_observations.min(initial=n) == n)

    @cached_property
    def pnl(self) -> FloatArray:
        """(P, T): profit and loss of each outcome; NaN where a held instrument has no return."""
        out = np.empty((len(self.block), self.n_outcomes))
        profit_and_loss(self.block.offsets, self.block.instrument, self.value, self.panel, out)
        return out

    @cached_property
    def overflows(self) -> BoolArray:
        """(P,): whether the P&L is too large to be squared, or to differ from a missing return."""
        largest = max(1.0, self.market.largest_return * self.settings.outcome_days)
        if largest > np.finfo(self.panel.dtype).max:
            return np.ones(len(self.block), dtype=bool)
        return ~(self.gross * largest < _LARGEST_PNL)

    @cached_property
    def _outcomes(self) -> tuple[FloatArray, IntArray, FloatArray]:
        block = self.block
        return worst_outcomes(
            block.offsets, block.instrument, self.value, self.panel, self._n_worst
        )

    @property
    def tail(self) -> FloatArray:
        """(P, n_worst): the worst P&L, ascending; +inf if there are fewer observations."""
        return self._outcomes[0]

    @property
    def n_observations(self) -> npt.NDArray[np.int64]:
        """(P,): the number of observations with a return for every position."""
        return self._outcomes[1]

    @property
    def n_outcomes(self) -> int:
        """T: the number of outcomes, each over one day or over several consecutive days."""
        return int(self.panel.shape[1])

    def rows_in_float64(self, instrument: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the rows (N,) of `instrument` (N,) in a panel in float64, and that panel.

        Costly kernels are compiled for float64 alone: they copy what they read.
        """
        if self.panel.dtype == np.float64:
            return instrument, self.panel.astype(np.float64, copy=False)
        rows, inverse = np.unique(instrument, return_inverse=True)
        return inverse, self.panel[rows].astype(np.float64)

    @property
    def deviation(self) -> FloatArray:
        """(P,): sample standard deviation of P&L."""
        return self._outcomes[2]


class Functions(NamedTuple):
    """How one measure is computed: `column` (P,) for a block, `parts` (N,) for a block of one book.

    `depth` is the number of worst outcomes that it reads; None if it reads no tail.
    """

    column: Callable[[Computation, MeasureName], MeasureColumn]
    parts: Callable[[Computation, MeasureName], FloatArray]
    depth: Callable[[int, MeasureName, MeasureSettings], int] | None = None


def worst_outcomes(
    offsets: IntArray,
    instrument: IntArray,
    value: FloatArray,
    panel: FloatArray | npt.NDArray[np.float32],
    n_worst: int,
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return the worst P&L (P, n_worst), the number of outcomes (P,) and their deviation (P,)."""
    p = len(offsets) - 1
    tail, n_observations, deviation = (
        np.empty((p, n_worst)),
        np.empty(p, dtype=np.int64),
        np.empty(p),
    )
    reach = _reach(n_worst, panel.shape[1])
    outcomes(offsets, instrument, value, panel, reach, tail, n_observations, deviation)
    return tail, n_observations, deviation


@lru_cache(maxsize=256)
def _reach(n_worst: int, n_observations: int) -> float:
    """Return a distance below the mean, in standard deviations.

    About 2 `n_worst` of `n_observations` normal outcomes lie beyond it.
    """
    share = (2 * n_worst + 4) / max(1, n_observations)
    return -NormalDist().inv_cdf(share) if share < 1 else -_FAR


Number = TypeVar("Number", np.int64, np.float64)


def confidence_of(name: MeasureName, settings: MeasureSettings) -> str:
    """Return the confidence of `name`, by default that of the settings."""
    return name.confidence or str(settings.confidence)


@lru_cache(maxsize=1024)
def tail_depth(n_observations: int, name: MeasureName, settings: MeasureSettings) -> int:
    """Return the number of worst outcomes that `name` reads of `n_observations`."""
    confidence = confidence_of(name, settings)
    position = var_position(n_observations, confidence, VarConvention(settings.var_convention))
    return max(tail_rank(n_observations, confidence), ceil(position) + 1, 1)


def var_rank(run: Computation, name: MeasureName, n_observations: int) -> tuple[int, float]:
    """Return the rank of the VaR, and the weight of the next better outcome."""
    convention = VarConvention(run.settings.var_convention)
    return _split_position(n_observations, confidence_of(name, run.settings), convention)


@lru_cache(maxsize=1024)
def _split_position(
    n_observations: int, confidence: str, convention: VarConvention
) -> tuple[int, float]:
    position = var_position(n_observations, confidence, convention)
    return floor(position), float(position % 1)


@lru_cache(maxsize=1024)
def tail_length(n_observations: int, confidence: str) -> float:
    """Return n alpha, not rounded."""
    return float(n_observations * tail_probability(confidence))


def shortfall_rank(run: Computation, name: MeasureName, n_observations: int) -> tuple[int, float]:
    """Return the rank of the last outcome in the tail, and n alpha, not rounded."""
    confidence = confidence_of(name, run.settings)
    return tail_rank(n_observations, confidence), tail_length(n_observations, confidence)


def normal_quantile(run: Computation, name: MeasureName) -> float:
    """Return z(c) of the confidence c of `name`."""
    return _normal_quantile(confidence_of(name, run.settings))


@lru_cache(maxsize=256)
def _normal_quantile(confidence: str) -> float:
    """Return z(c) of the decimal text, by the tail and a Newton step for the rounding of alpha."""
    alpha, normal = tail_probability(confidence), NormalDist()
    quantile = normal.inv_cdf(float(alpha))
    step = float(alpha - Fraction(float(alpha))) / normal.pdf(quantile)
    return 0.0 - (quantile + step)


def spread_window(run: Computation) -> int:
    """Return the least number of outcomes of a volatility: two that have no day in common."""
    return run.settings.outcome_days + 1


def tail_window(run: Computation, confidence: str) -> int:
    """Return the least number of outcomes of a tail: 1 / alpha, and 1 more if outcomes overlap.

    Overlapping outcomes of h days then cover h + 1 / alpha days.
    """
    return min_observations(confidence) + (1 if run.settings.outcome_days > 1 else 0)


def overlapping(run: Computation) -> tuple[BoolArray, Outcome]:
    """Return the mark of a measure that is not defined for overlapping outcomes."""
    return (run.gross > 0.0) & (run.settings.outcome_days > 1), Outcome.OVERLAPPING


def by_window(
    n_observations: IntArray, kind: type[Number], of: Callable[[int], float]
) -> npt.NDArray[Number]:
    """Return `of(n)` for each number n >= 1 of observations (P,), once per distinct number."""
    if len(n_observations) and (n_observations == n_observations[0]).all():
        return np.full(len(n_observations), of(max(1, int(n_observations[0]))), dtype=kind)
    lengths, inverse = np.unique(n_observations, return_inverse=True)
    return np.array([of(max(1, int(n))) for n in lengths], dtype=kind)[inverse]


def ranks_by_window(
    n_observations: IntArray, rank_of: Callable[[int], tuple[int, float]]
) -> tuple[IntArray, FloatArray]:
    """Return both results of `rank_of` for each number of observations (P,), as `by_window`."""
    rank = by_window(n_observations, np.int64, lambda n: rank_of(n)[0])
    return rank, by_window(n_observations, np.float64, lambda n: rank_of(n)[1])


def column_of(
    run: Computation,
    values: FloatArray,
    n_required: int,
    *marks: tuple[BoolArray, Outcome],
) -> MeasureColumn:
    """Return `values` (P,) of past outcomes, marked if P&L overflows or the window is too short."""
    if run.all_observed and run.n_outcomes >= n_required:
        return MeasureColumn.of(values, *marks).over(run.n_observations)
    return MeasureColumn.of(
        values,
        (run.overflows, Outcome.NOT_FINITE),
        (run.n_observations < n_required, Outcome.WINDOW_TOO_SHORT),
        *marks,
    ).over(run.n_observations)


def observed(run: Computation) -> tuple[FloatArray, FloatArray]:
    """Return the observed P&L (T,) of the one portfolio in `run`, and of its positions (N, T)."""
    held = run.value != 0.0
    returns = np.where(held[:, None], run.panel[run.block.instrument], 0.0)
    seen = ~np.isnan(run.pnl[0])
    return run.pnl[0][seen], run.value[:, None] * returns[:, seen]
