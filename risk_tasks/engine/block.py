"""A block of portfolios as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioBlock:
    """P portfolios with N positions in CSR form: finite quantities of instruments of the market.

    `offsets` (P + 1,) int64; `instrument` (N,) int64, indices into the market; `quantity` (N,)
    float64, signed units; `cash`, `nav` (P,) float64, base currency, NaN for unknown.
    """

    offsets: npt.NDArray[np.int64]
    instrument: npt.NDArray[np.int64]
    quantity: npt.NDArray[np.float64]
    cash: npt.NDArray[np.float64]
    nav: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> PortfolioBlock:
        """Return a block of one portfolio, that at `index`."""
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        return PortfolioBlock(
            offsets=np.array([0, stop - start], dtype=np.int64),
            instrument=self.instrument[start:stop],
            quantity=self.quantity[start:stop],
            cash=self.cash[index : index + 1],
            nav=self.nav[index : index + 1],
        )

    def rows_of(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the portfolio of each of `positions`, indices into `quantity`, as its index."""
        return np.searchsorted(self.offsets, positions, side="right") - 1

    def rows(self, indices: npt.NDArray[np.int64]) -> PortfolioBlock:
        """Return a block of the portfolios at `indices`, in that order."""
        sizes = np.diff(self.offsets)[indices]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        flat = np.repeat(self.offsets[indices] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return PortfolioBlock(
            offsets=offsets,
            instrument=self.instrument[flat],
            quantity=self.quantity[flat],
            cash=self.cash[indices],
            nav=self.nav[indices],
        )
