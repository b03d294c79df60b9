"""Past outcomes weighed by their age."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]


@kernel
def ewma_volatility(pnl: Float2D, decay: float, out: Float1D) -> None:
    """Root of the exponentially weighted mean square of the outcomes of each portfolio.

    Parameters
    ----------
    pnl : (P, T), base currency, profit positive
        Oldest first. NaN is a missing outcome, which neither counts nor ages the others.
    decay : 0 < decay < 1
        What the weight of an outcome is to that of the next one.
    out : (P,), base currency, never negative
        Receives the volatility around a mean of 0; 0 where nothing is observed.

    Notes
    -----
    Source: J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th ed. (1996), chapter 5.
    """
    for p in range(pnl.shape[0]):
        squares, total = 0.0, 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                squares = decay * squares + pnl[p, t] * pnl[p, t]
                total = decay * total + 1.0
        out[p] = np.sqrt(squares / total) if total > 0.0 else 0.0
