"""Sums of signed position values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]


@kernel
def exposure(offsets: Int1D, value: Float1D, out: Float2D) -> None:
    """Market value, long and short exposure of each portfolio.

    Parameters
    ----------
    offsets : (P + 1,)
        Where each portfolio's positions begin.
    value : (N,), base currency
        Signed values of positions, long positive.
    out : (P, 3), base currency
        Receives the sum of V; L = sum of max(V, 0) >= 0; S = sum of max(-V, 0) >= 0.
        An empty portfolio has zeros.
    """
    for p in range(offsets.size - 1):
        total = 0.0
        long = 0.0
        short = 0.0
        for j in range(offsets[p], offsets[p + 1]):
            v = value[j]
            total += v
            # No branch: the signs of a book cannot be guessed.
            long += max(0.0, v)
            short -= min(0.0, v)
        out[p, 0] = total
        out[p, 1] = long
        out[p, 2] = short


@kernel
def concentration(offsets: Int1D, value: Float1D, gross: Float1D, out: Float2D) -> None:
    """Largest share of gross exposure, and the Herfindahl-Hirschman index of all shares.

    Parameters
    ----------
    offsets : (P + 1,)
    value : (N,), base currency
        Signed values; an instrument stands at most once in a portfolio.
    gross : (P,), base currency
        L + S of each portfolio.
    out : (P, 2), fraction
        Receives max s and the sum of s^2, s = |V| / gross. Zeros where gross is 0.

    Notes
    -----
    Source: Hirschman, "The Paternity of an Index", American Economic Review 54 (1964).
    """
    for p in range(offsets.size - 1):
        largest = 0.0
        squares = 0.0
        if gross[p] > 0.0:
            for j in range(offsets[p], offsets[p + 1]):
                share = abs(value[j]) / gross[p]
                squares += share * share
                largest = max(largest, share)
        out[p, 0] = largest
        out[p, 1] = squares
