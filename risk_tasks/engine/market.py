"""A market in the layout that kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.covariance import GivenCovariance
from risk_tasks.engine.panels import DerivedPanels, Panel
from risk_tasks.engine.shocks import DateArray, ShockArrays, lay_out
from risk_tasks.engine.simulation import streams_of
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, Precision


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
    #: (n,), what the random draws of an instrument are told by
    streams: npt.NDArray[np.uint64]
    covariance: GivenCovariance | None
    #: (T,), that of each observation; None where they are not known
    dates: DateArray | None

    @classmethod
    def of(cls, snapshot: MarketSnapshot, *, like: MarketArrays | None = None) -> MarketArrays:
        """Lay out `snapshot`; where `like` has the same panel, its arrays are shared."""
        if like is not None and like.panel_id == snapshot.panel_id:
            panel, largest, derived = like.panel, like.largest_return, like.derived
            streams, covariance = like.streams, like.covariance
        else:
            # A copy of its own: Numba compiles once more for an array that is read-only.
            panel = np.array(snapshot.returns.T, order="C")
            largest = float(np.nanmax(np.abs(panel), initial=0.0))
            derived = DerivedPanels(panel)
            streams = streams_of(snapshot.instruments)
            given = snapshot.covariance
            covariance = None if given is None else GivenCovariance.of(given)
        dates = None if snapshot.dates is None else np.array(snapshot.dates, dtype="datetime64[D]")
        return cls(
            id=snapshot.id,
            panel_id=snapshot.panel_id,
            as_of=snapshot.as_of,
            index=snapshot.index,
            prices=snapshot.prices,
            panel=panel,
            largest_return=largest,
            derived=derived,
            scenarios=lay_out(snapshot, dates),
            streams=streams,
            covariance=covariance,
            dates=dates,
        )

    def panel_for(self, settings: MeasureSettings) -> Panel:
        """Return the returns over the days of one outcome, in the precision of `settings`."""
        return self.derived.get(Precision(settings.precision), settings.outcome_days)

    @property
    def n_observations(self) -> int:
        return int(self.panel.shape[1])
