"""Books in the form of the libraries: returns, and weights of net asset value, short ones too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Level(NamedTuple):
    """A confidence and its alpha, each as the float of its own decimal text."""

    confidence: float
    alpha: float

    @classmethod
    def of(cls, text: str) -> Level:
        return cls(float(text), float(1 - Decimal(text)))


class Book:
    """One portfolio: k positions over n days."""

    def __init__(
        self, held: IntArray, weights: FloatArray, panel: FloatArray, level: Level
    ) -> None:
        #: (k,) signed value of each position over net asset value
        self.weights = weights
        self.level = level
        self._held, self._panel = held, panel

    @cached_property
    def _rows(self) -> FloatArray:
        return self._panel[self._held]

    @cached_property
    def returns(self) -> FloatArray:
        """(n, k) returns of the positions, oldest first."""
        return self._rows.T

    @cached_property
    def pnl(self) -> FloatArray:
        """(n,) P&L over net asset value."""
        return self.weights @ self._rows

    @property
    def index(self) -> FloatArray:
        """(n,) returns of the reference instrument of betas: the first one."""
        return self._panel[0]


class Columns(NamedTuple):
    """Many portfolios as one table of P&L (n, P), read as a `Book` is."""

    pnl: FloatArray
    index: FloatArray
    level: Level


@dataclass(frozen=True, eq=False)
class Books:
    """P portfolios in CSR form on a panel of returns with a row for each instrument."""

    offsets: IntArray
    instrument: IntArray
    weights: FloatArray
    panel: FloatArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def each(self, level: Level) -> Iterator[Book]:
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            held = self.instrument[start:stop]
            yield Book(held, self.weights[start:stop], self.panel, level)

    def together(self, level: Level) -> Columns:
        """Return all portfolios by one sparse product, the days of each side by side in memory."""
        shape = (len(self), len(self.panel))
        held = sparse.csr_array((self.weights, self.instrument, self.offsets), shape=shape)
        return Columns((held @ self.panel).T, self.panel[0], level)

    def last(self, n_days: int) -> Books:
        """Return the same portfolios on the last days only."""
        panel = np.ascontiguousarray(self.panel[:, -n_days:])
        return Books(self.offsets, self.instrument, self.weights, panel)

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        np.savez(path, **vars(self))

    @classmethod
    def read(cls, path: Path) -> Books:
        with np.load(path) as file:
            return cls(**{name: file[name] for name in file.files})
