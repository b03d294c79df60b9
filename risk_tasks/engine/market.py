"""A market in the layout that kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.panels import DerivedPanels, Panel
from risk_tasks.model.market import MarketSnapshot, Scenario
from risk_tasks.model.measures import MeasureSettings, Precision


@dataclass(frozen=True, slots=True, eq=False)
class ShockArrays:
    """One scenario over all instruments: `shock` (n,) with NaN for untold, `named` (n,) bool."""

    shock: npt.NDArray[np.float64]
    named: npt.NDArray[np.bool_]


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
    #: what is made of `panel` when it is asked for, shared as `panel` is
    derived: DerivedPanels
    scenarios: Mapping[str, ShockArrays]

    @classmethod
    def of(cls, snapshot: MarketSnapshot, *, like: MarketArrays | None = None) -> MarketArrays:
        """Lay out `snapshot`; where `like` has the same panel, its arrays are shared."""
        if like is not None and like.panel_id == snapshot.panel_id:
            panel, largest, derived = like.panel, like.largest_return, like.derived
        else:
            # A copy of its own: Numba compiles once more for an array that is read-only.
            panel = np.array(snapshot.returns.T, order="C")
            largest = float(np.nanmax(np.abs(panel), initial=0.0))
            derived = DerivedPanels(panel)
        return cls(
            id=snapshot.id,
            panel_id=snapshot.panel_id,
            as_of=snapshot.as_of,
            index=snapshot.index,
            prices=snapshot.prices,
            panel=panel,
            largest_return=largest,
            derived=derived,
            scenarios={
                name: _shock_arrays(scenario, snapshot.index)
                for name, scenario in snapshot.scenarios.items()
            },
        )

    def panel_for(self, settings: MeasureSettings) -> Panel:
        """Return the returns over the days of one outcome, in the precision of `settings`."""
        return self.derived.get(Precision(settings.precision), settings.outcome_days)

    @property
    def n_observations(self) -> int:
        return int(self.panel.shape[1])


def _shock_arrays(scenario: Scenario, index: Mapping[str, int]) -> ShockArrays:
    shock = np.full(len(index), np.nan if scenario.others is None else scenario.others)
    named = np.zeros(len(index), dtype=np.bool_)
    for instrument, change in scenario.shocks.items():
        if instrument in index:
            shock[index[instrument]] = change
            named[index[instrument]] = True
    return ShockArrays(shock, named)
