"""A market in the layout that kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.shocks import DateArray, ShockArrays, lay_out
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import Precision


@dataclass(frozen=True, slots=True, eq=False)
class MarketArrays:
    """What a worker holds of a market.

    `prices` (n,); `panel` (n, T), one row of returns per instrument so that a position reads
    memory in order; `largest_return` bounds |r| and with it what can overflow.
    """

    id: str
    panel_id: str
    as_of: datetime
    index: Mapping[str, int]
    prices: npt.NDArray[np.float64]
    panel: npt.NDArray[np.float64]
    largest_return: float
    #: `panel` rounded to float32, made when it is first asked for and shared as `panel` is
    rounded: list[npt.NDArray[np.float32]]
    scenarios: Mapping[str, ShockArrays]
    #: (T,), that of each observation; None where they are not known
    dates: DateArray | None

    @classmethod
    def of(cls, snapshot: MarketSnapshot, *, like: MarketArrays | None = None) -> MarketArrays:
        """Lay out `snapshot`; where `like` has the same panel, its arrays are shared."""
        if like is not None and like.panel_id == snapshot.panel_id:
            panel, largest, rounded = like.panel, like.largest_return, like.rounded
        else:
            rounded = []
            # A copy of its own: Numba compiles once more for an array that is read-only.
            panel = np.array(snapshot.returns.T, order="C")
            largest = float(np.nanmax(np.abs(panel), initial=0.0))
        dates = None if snapshot.dates is None else np.array(snapshot.dates, dtype="datetime64[D]")
        return cls(
            id=snapshot.id,
            panel_id=snapshot.panel_id,
            as_of=snapshot.as_of,
            index=snapshot.index,
            prices=snapshot.prices,
            panel=panel,
            largest_return=largest,
            rounded=rounded,
            scenarios=lay_out(snapshot, dates),
            dates=dates,
        )

    def panel_in(self, precision: Precision) -> npt.NDArray[np.float64] | npt.NDArray[np.float32]:
        """Return the returns in this precision."""
        if precision is Precision.FLOAT64:
            return self.panel
        if not self.rounded:
            with np.errstate(over="ignore"):
                self.rounded.append(self.panel.astype(np.float32))
        return self.rounded[0]

    @property
    def n_observations(self) -> int:
        return int(self.panel.shape[1])
