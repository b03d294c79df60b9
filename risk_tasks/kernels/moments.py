"""The moments of past outcomes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Float2D = npt.NDArray[np.float64]


@kernel
def moments(pnl: Float2D, out: Float2D) -> None:
    """Mean, spread, skewness and excess kurtosis of the outcomes of each portfolio.

    Parameters
    ----------
    pnl : (P, T), base currency, profit positive
        NaN is a missing outcome.
    out : (P, 4)
        Receives the mean and the standard deviation in base currency, the skewness and the excess
        kurtosis without unit, all with n in the denominator. Without a spread there is no shape:
        0. Nothing observed has zeros.

    Notes
    -----
    Outcomes are divided by their spread before they are raised to the fourth power, which neither
    overflows nor vanishes where the spread itself does not.
    """
    for p in range(pnl.shape[0]):
        n, total, squares = 0, 0.0, 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                n += 1
                total += pnl[p, t]
        mean = total / n if n > 0 else 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                squares += (pnl[p, t] - mean) ** 2
        deviation = np.sqrt(squares / n) if n > 0 else 0.0
        cubes, fourths = 0.0, 0.0
        if deviation > 0.0:
            for t in range(pnl.shape[1]):
                if not np.isnan(pnl[p, t]):
                    u = (pnl[p, t] - mean) / deviation
                    cubes += u * u * u
                    fourths += u * u * u * u
        out[p, 0], out[p, 1] = mean, deviation
        out[p, 2] = cubes / n if deviation > 0.0 else 0.0
        out[p, 3] = fourths / n - 3.0 if deviation > 0.0 else 0.0
