"""Monte Carlo measures: random paths drawn from the covariance of returns, with a mean of 0.

A path is one day of returns. Paths come in antithetic pairs, z and -z. Draws depend on seed,
instrument and path alone, so that all portfolios have the same paths.

A measure returns a column (P,); its parts are (N,) for a block of one book. Both are scaled to the
horizon; units and signs are those of the registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.computation import (
    BoolArray,
    Computation,
    FloatArray,
    Functions,
    IntArray,
    column_of,
    confidence_of,
    tail_depth,
    var_rank,
)
from risk_tasks.engine.history import losses_at_risk, shortfalls, tail_weights
from risk_tasks.engine.market import streams_of
from risk_tasks.kernels.covariance import loadings, lower_factor
from risk_tasks.kernels.history import profit_and_loss
from risk_tasks.kernels.simulation import keep_worst_pairs, normal_draws, random_bits
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import (
    Distribution,
    HorizonRule,
    MeasureName,
    MeasureSettings,
    min_observations,
)

BitArray = npt.NDArray[np.uint64]

#: draws per chunk, so that what each portfolio reads stays in the cache of the processor
_DRAWS_BYTES = 2 << 20
#: P&L of the portfolios whose worst outcomes are selected together
_PNL_BYTES = 1 << 20
#: worst outcomes of the portfolios that are simulated together
_WORST_BYTES = 64 << 20
_FEWEST_PAIRS = 64
_MOST_PAIRS = 8192


#: the stream of the factor that all instruments of a path share; no instrument has an empty name
_SHARED_STREAM = streams_of([""])


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """The N positions of P portfolios that are not worth 0.

    `position` (N,) is the index of a position in the block; the positions of a portfolio are in the
    order of the market. `size` (N,) is the multiplier of each, V or w.
    """

    offsets: IntArray
    position: IntArray
    instrument: IntArray
    size: FloatArray

    @classmethod
    def of(cls, block: PortfolioBlock, value: FloatArray) -> Holdings:
        row = np.repeat(np.arange(len(block)), np.diff(block.offsets))
        position = np.lexsort((block.instrument, row))
        position = position[value[position] != 0.0]
        offsets = np.searchsorted(row[position], np.arange(len(block) + 1))
        return cls(offsets, position, block.instrument[position], value[position])

    def rows(self, start: int, stop: int) -> Holdings:
        """Return the holdings of the portfolios from `start` to before `stop`."""
        first, last = self.offsets[start], self.offsets[stop]
        return Holdings(
            self.offsets[start : stop + 1] - first,
            self.position[first:last],
            self.instrument[first:last],
            self.size[first:last],
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1


def worst_paths(
    holdings: Holdings, streams: BitArray, settings: MeasureSettings, n_worst: int
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the worst of `settings.n_paths` one-day outcomes of each portfolio.

    For each group of portfolios: its rows, and the outcomes (rows, `n_worst`), ascending. Memory
    does not grow with the number of paths or portfolios: 64 MiB of worst outcomes, but at least one
    row; 2 MiB of draws, but at least 64 pairs of each instrument; and a few MiB more.
    """
    together = max(1, _WORST_BYTES // (8 * n_worst))
    for start in range(0, len(holdings), together):
        stop = min(start + together, len(holdings))
        yield slice(start, stop), _worst_of(holdings.rows(start, stop), streams, settings, n_worst)


def _worst_of(
    holdings: Holdings, streams: BitArray, settings: MeasureSettings, n_worst: int
) -> FloatArray:
    held, instrument = np.unique(holdings.instrument, return_inverse=True)
    worst = np.empty((len(holdings), n_worst))
    n_kept = np.zeros(len(holdings), dtype=np.int64)
    for _, draws, factor in panels(streams[held], settings):
        together = max(1, _PNL_BYTES // (8 * draws.shape[1]))
        for start in range(0, len(holdings), together):
            stop = min(start + together, len(holdings))
            rows = holdings.rows(start, stop)
            first, last = holdings.offsets[start], holdings.offsets[stop]
            pnl = np.empty((stop - start, draws.shape[1]))
            profit_and_loss(rows.offsets, instrument[first:last], rows.size, draws, pnl)
            pnl *= factor
            keep_worst_pairs(pnl, worst[start:stop], n_kept[start:stop])
    worst.sort(axis=1)
    return worst


class Panel(NamedTuple):
    """A chunk of the pairs of paths: `draws` (streams, pairs), normal and independent.

    `factor` (pairs,) multiplies each pair: 1, or the shared factor of Student's distribution.
    """

    pairs: slice
    draws: FloatArray
    factor: FloatArray


def panels(streams: BitArray, settings: MeasureSettings) -> Iterator[Panel]:
    """Yield all pairs of paths of `streams` in chunks, one path of each pair."""
    n_pairs, n_streams = settings.n_paths // 2, len(streams)
    together = min(_DRAWS_BYTES // (8 * max(1, n_streams)), _MOST_PAIRS, n_pairs)
    together = max(_FEWEST_PAIRS, together // 4 * 4)
    for first in range(0, n_pairs, together):
        n = min(together, n_pairs - first)
        draws = np.empty((n_streams, n))
        normal_draws(np.uint64(settings.seed), streams, first, draws)
        yield Panel(slice(first, first + n), draws, _factor(settings, first, n))


def _factor(settings: MeasureSettings, first: int, n: int) -> FloatArray:
    """Return 1, or sqrt((nu - 2) / X) for n pairs, X chi-square with nu degrees of freedom.

    X is the quantile at a random u, exact for any nu.
    """
    if settings.distribution is Distribution.NORMAL:
        return np.ones(n)
    bits, freedom = np.empty((1, n), dtype=np.uint64), settings.degrees_of_freedom
    random_bits(np.uint64(settings.seed), _SHARED_STREAM, first, bits)
    u = ((bits[0] >> np.uint64(12)) + 0.5) * 2.0**-52
    half: FloatArray = special.gammaincinv(freedom / 2, u)
    return np.sqrt((freedom - 2) / 2 / half)


#: paths of a portfolio with a larger standard deviation may overflow
_LARGEST_SPREAD = 1e150
_EMPTY = np.empty((0, 0))


def value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    run = _daily(run)
    losses = run.shared(simulated_losses)[name]
    return _column_of(run, name, losses, (losses < 0, Outcome.NEGATIVE_VAR))


def expected_shortfall(run: Computation, name: MeasureName) -> MeasureColumn:
    run = _daily(run)
    losses = run.shared(simulated_losses)[name]
    return _column_of(run, name, losses, (losses < 0, Outcome.NEGATIVE_ES))


def covariance_repair(run: Computation, name: MeasureName) -> MeasureColumn:
    given = run.market.covariance
    return MeasureColumn.of(np.full(len(run.block), given.repair if given else 0.0))


def simulated_losses(run: Computation) -> dict[MeasureName, FloatArray]:
    """Return the one-day loss (P,) of each requested Monte Carlo measure."""
    names = [name for name in run.names if name.name in _LOSSES]
    losses = {name: np.zeros(len(run.block)) for name in names}
    if run.market.covariance and run.market.covariance.is_refused:
        return losses
    n_paths = run.settings.n_paths
    depth = max(tail_depth(n_paths, name, run.settings) for name in names)
    loaded, usable = _loaded(run)
    for rows, worst in worst_paths(loaded, run.market.streams, run.settings, depth):
        n = np.full(len(worst), n_paths)
        for name in names:
            losses[name][rows] = _LOSSES[name.name](run, name, worst, n)
    return {name: np.where(usable, found, np.nan) for name, found in losses.items()}


def _losses_at_risk(
    run: Computation, name: MeasureName, worst: FloatArray, n_paths: IntArray
) -> FloatArray:
    return losses_at_risk(worst, n_paths, lambda n: var_rank(run, name, n))


def value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    rank, weight = var_rank(run, name, run.settings.n_paths)
    return _parts(_daily(run), np.append(np.zeros(rank), [1.0 - weight, weight]))


def expected_shortfall_parts(run: Computation, name: MeasureName) -> FloatArray:
    return _parts(
        _daily(run), tail_weights(run.settings.n_paths, confidence_of(name, run.settings))
    )


def no_parts(run: Computation, name: MeasureName) -> FloatArray:
    """Return zeros: the measure belongs to the market, not to positions."""
    return np.zeros(len(run.value))


def _daily(run: Computation) -> Computation:
    """Return `run` over one-day outcomes: a path is one day under every horizon rule."""
    return run if run.settings.outcome_days == 1 else run.shared(_of_days)


def _of_days(run: Computation) -> Computation:
    settings = replace(run.settings, horizon_rule=HorizonRule.SQRT_TIME)
    return Computation(run.block, run.market, settings, 1, run.names)


def _loaded(run: Computation) -> tuple[Holdings, BoolArray]:
    """Return the holdings with w as sizes, and whether each portfolio's paths are finite (P,)."""
    held = Holdings.of(run.block, run.value)
    weight, spread = np.empty(len(held.size)), np.empty(len(held))
    rows, panel, covariance = _covariance(run, held.instrument)
    loadings(held.offsets, rows, held.size, panel, covariance, weight, spread)
    usable = spread < _LARGEST_SPREAD
    weight[~np.repeat(usable, np.diff(held.offsets))] = 0.0
    return Holdings(held.offsets, held.position, held.instrument, weight), usable


def _covariance(run: Computation, instrument: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the rows of `instrument`, and the panel or covariance that has these rows."""
    if run.market.covariance:
        return instrument, _EMPTY, run.market.covariance.matrix
    return *run.rows_in_float64(instrument), _EMPTY


def _parts(run: Computation, weight: FloatArray) -> FloatArray:
    """Return each position's mean loss over the worst paths of the one book in `run`.

    `weight` is that of each of the worst paths, ties by their number. The P&L of positions is L z.
    """
    held, (loaded, _) = Holdings.of(run.block, run.value), _loaded(run)
    streams = run.market.streams[held.instrument]
    outcomes = np.empty(run.settings.n_paths)
    for pairs, draws, factor in panels(streams, run.settings):
        pnl = (loaded.size[:, None] * draws).sum(axis=0) * factor
        outcomes[2 * pairs.start : 2 * pairs.stop : 2] = pnl
        outcomes[2 * pairs.start + 1 : 2 * pairs.stop : 2] = -pnl
    weights = np.zeros(len(outcomes))
    worst = np.argsort(outcomes, kind="stable")[: len(weight)]
    weights[worst] = weight[: len(worst)]
    by_pair = weights[::2] - weights[1::2]
    mean = np.zeros(len(streams))
    for pairs, draws, factor in panels(streams, run.settings):
        mean += (draws * (by_pair[pairs] * factor)).sum(axis=1)
    lower = np.zeros((len(streams), len(streams)))
    rows, panel, covariance = _covariance(run, held.instrument)
    lower_factor(rows, held.size, panel, covariance, lower)
    parts = np.zeros(len(run.value))
    parts[held.position] = -np.sign(held.size) * (lower * mean).sum(axis=1) * run.horizon_scale
    return parts


def _column_of(
    run: Computation, name: MeasureName, losses: FloatArray, *marks: tuple[BoolArray, Outcome]
) -> MeasureColumn:
    values, given = losses * run.horizon_scale, run.market.covariance
    required = min_observations(confidence_of(name, run.settings))
    everywhere = np.ones(len(values), dtype=bool)
    too_few = (everywhere & (run.settings.n_paths < required), Outcome.TOO_FEW_PATHS)
    if given is None:
        return column_of(run, values, 2, too_few, *marks)
    return MeasureColumn.of(
        values,
        (everywhere & given.is_refused, Outcome.COVARIANCE_REFUSED),
        (~np.isfinite(values), Outcome.NOT_FINITE),
        too_few,
        ((run.gross > 0.0) & (given.repair > 0.0), Outcome.COVARIANCE_REPAIRED),
        *marks,
    )


_LOSSES = {
    "monte_carlo_value_at_risk": _losses_at_risk,
    "monte_carlo_expected_shortfall": shortfalls,
}

FUNCTIONS = {
    "monte_carlo_value_at_risk": Functions(value_at_risk, value_at_risk_parts),
    "monte_carlo_expected_shortfall": Functions(expected_shortfall, expected_shortfall_parts),
    "covariance_repair": Functions(covariance_repair, no_parts),
}
