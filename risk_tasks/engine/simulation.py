"""Random paths: draws by the names of instruments, a bounded number of them at a time.

A path is one day of returns drawn from their covariance. Paths come in pairs, one the mirror of
the other. Draws belong to seed, instrument and path alone, so that all portfolios meet the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.kernels.history import profit_and_loss
from risk_tasks.kernels.simulation import keep_worst_pairs, normal_draws, random_bits
from risk_tasks.model.measures import Distribution, MeasureSettings

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BitArray = npt.NDArray[np.uint64]

#: draws that are held at a time: what portfolios read again and again stays near the processor
_DRAWS_BYTES = 2 << 20
#: the P&L of several portfolios before the worst are picked from it
_PNL_BYTES = 1 << 20
#: the worst outcomes of as many portfolios as are simulated together
_WORST_BYTES = 64 << 20
_FEWEST_PAIRS = 64
_MOST_PAIRS = 8192


def streams_of(instruments: Sequence[str]) -> BitArray:
    """Return the stream of draws of each instrument: the first 64 bits of SHA-256 of its name."""
    digests = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in instruments)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


#: of what all instruments of a path share; no instrument is without a name
_SHARED_STREAM = streams_of([""])


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What P portfolios hold, N positions in all: `PortfolioBlock` without positions of nothing.

    `place` (N,) is where a position stands in the block; in a portfolio positions stand in the
    order of the market. `size` (N,) is what each is multiplied by, V or w.
    """

    offsets: IntArray
    place: IntArray
    instrument: IntArray
    size: FloatArray

    @classmethod
    def of(cls, block: PortfolioBlock, value: FloatArray) -> Holdings:
        row = np.repeat(np.arange(len(block)), np.diff(block.offsets))
        place = np.lexsort((block.instrument, row))
        place = place[value[place] != 0.0]
        offsets = np.searchsorted(row[place], np.arange(len(block) + 1))
        return cls(offsets, place, block.instrument[place], value[place])

    def rows(self, start: int, stop: int) -> Holdings:
        """Return those of the portfolios from `start` on, before `stop`."""
        first, last = self.offsets[start], self.offsets[stop]
        return Holdings(
            self.offsets[start : stop + 1] - first,
            self.place[first:last],
            self.instrument[first:last],
            self.size[first:last],
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1


def worst_paths(
    holdings: Holdings, streams: BitArray, settings: MeasureSettings, n_worst: int
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the worst of `settings.n_paths` one-day outcomes of each portfolio.

    By groups of portfolios: their rows, and (rows, `n_worst`), ascending. Memory is bounded
    whatever the number of paths and portfolios: by 64 MiB for the worst, or one row of them where
    that is more; by 2 MiB of draws, or 64 pairs of each instrument where that is more; and a few
    MiB beside.
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
    """Some of all pairs of paths: `draws` (streams, pairs), normal and independent.

    `factor` (pairs,) is what each is multiplied by: 1 or, for Student's, what its path shares.
    """

    pairs: slice
    draws: FloatArray
    factor: FloatArray


def panels(streams: BitArray, settings: MeasureSettings) -> Iterator[Panel]:
    """Yield all pairs of paths, one of each and some at a time, for these streams."""
    n_pairs, n_streams = settings.n_paths // 2, len(streams)
    together = min(_DRAWS_BYTES // (8 * max(1, n_streams)), _MOST_PAIRS, n_pairs)
    together = max(_FEWEST_PAIRS, together // 4 * 4)
    for first in range(0, n_pairs, together):
        n = min(together, n_pairs - first)
        draws = np.empty((n_streams, n))
        normal_draws(np.uint64(settings.seed), streams, first, draws)
        yield Panel(slice(first, first + n), draws, _factor(settings, first, n))


def _factor(settings: MeasureSettings, first: int, n: int) -> FloatArray:
    """Return 1 or sqrt((nu - 2) / X) for n pairs, X chi-square with nu degrees of freedom.

    X is its quantile at a random u, exact for any nu.
    """
    if settings.distribution is Distribution.NORMAL:
        return np.ones(n)
    bits, freedom = np.empty((1, n), dtype=np.uint64), settings.degrees_of_freedom
    random_bits(np.uint64(settings.seed), _SHARED_STREAM, first, bits)
    u = ((bits[0] >> np.uint64(12)) + 0.5) * 2.0**-52
    half: FloatArray = special.gammaincinv(freedom / 2, u)
    return np.sqrt((freedom - 2) / 2 / half)
