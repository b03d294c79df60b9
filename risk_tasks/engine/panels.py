"""Panels made of a panel of returns: summed over days, rounded, or both."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
import numpy.typing as npt

from risk_tasks.model.measures import Precision

Panel = npt.NDArray[np.float64] | npt.NDArray[np.float32]

#: each is as large as the panel that it is made of
_MOST = 4


class DerivedPanels:
    """The few that were asked for last, shared by markets of the same returns and by threads."""

    def __init__(self, panel: npt.NDArray[np.float64]) -> None:
        self._panel = panel
        self._made: OrderedDict[tuple[Precision, int], Panel] = OrderedDict()
        self._lock = Lock()

    def get(self, precision: Precision, days: int) -> Panel:
        """Return the returns (n, T - days + 1) over so many days, each a day after the one before.

        They are sums of one-day returns, NaN where one is missing, added in float64.
        """
        if precision is Precision.FLOAT64 and days == 1:
            return self._panel
        with self._lock:
            made = self._made.pop((precision, days), None)
            if made is None:
                made = self._make(precision, days)
            self._made[precision, days] = made
            if len(self._made) > _MOST:
                self._made.popitem(last=False)
            return made

    def _make(self, precision: Precision, days: int) -> Panel:
        with np.errstate(over="ignore", invalid="ignore"):
            total = _sums(self._panel, days)
            return total if precision is Precision.FLOAT64 else total.astype(np.float32)


def _sums(panel: npt.NDArray[np.float64], days: int) -> npt.NDArray[np.float64]:
    """By halves: a sum of a year takes eight additions."""
    if days == 1:
        return panel
    half, width = days // 2, max(0, panel.shape[1] - days + 1)
    sums = _sums(panel, half)
    total: npt.NDArray[np.float64] = sums[:, :width] + sums[:, half : half + width]
    return total + panel[:, days - 1 : days - 1 + width] if days % 2 else total
