"""How the P&L of a book depends on independent draws of the instruments that it holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel, part

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]
Panel = npt.NDArray[np.float64] | npt.NDArray[np.float32]

#: what is left of a variance below this times the number of positions is rounding
_ROUNDING = 16 * 2.0**-52


@kernel
def loadings(
    offsets: Int1D,
    instrument: Int1D,
    value: Float1D,
    panel: Panel,
    covariance: Float2D,
    out: Float1D,
    spread: Float1D,
) -> None:
    """The w = L'V of each portfolio, so that w'z has the variance of its one-day P&L, V' Cov V.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
        Rows of `panel`, each once in a portfolio. Their order is that of L and so moves what each
        draw does, though not the distribution of all.
    value : (N,), base currency, not 0
    panel : (n, T), fraction
        Returns by instrument; NaN is a missing one, which drops the observation for a portfolio
        that holds the instrument. The covariance has n - 1 in the denominator; 0 where n < 2.
    covariance : (n, n), per day
        Read instead of `panel` where it is not empty.
    out : (N,), base currency
        Receives w.
    spread : (P,), base currency
        Receives |w|, the standard deviation of the P&L; not finite where the covariance is not.

    Notes
    -----
    Source: Glasserman, Monte Carlo Methods in Financial Engineering (2003), 2.3.3.
    """
    for p in range(offsets.size - 1):
        start, stop = offsets[p], offsets[p + 1]
        lower = np.zeros((stop - start, stop - start))
        unit = _factor(instrument[start:stop], value[start:stop], panel, covariance, lower)
        squares = 0.0
        for j in range(stop - start):
            w = 0.0
            for i in range(j, stop - start):
                w += lower[i, j] if value[start + i] > 0.0 else -lower[i, j]
            out[start + j] = unit * w
            squares += w * w
        spread[p] = unit * np.sqrt(squares)


@kernel
def lower_factor(
    instrument: Int1D, value: Float1D, panel: Panel, covariance: Float2D, out: Float2D
) -> None:
    """The L of one portfolio that `loadings` adds up, L L' = Cov of |V_i| r_i.

    Parameters
    ----------
    instrument : (N,)
    value : (N,), base currency, not 0
    panel : (n, T), fraction
    covariance : (n, n), per day, or empty
    out : (N, N), base currency, zeros
        Receives L, lower triangular. A variance that the instruments before explain up to
        rounding has a column of zeros.
    """
    unit = _factor(instrument, value, panel, covariance, out)
    for i in range(value.size):
        for j in range(i + 1):
            out[i, j] *= unit


@part
def _factor(
    instrument: Int1D, value: Float1D, panel: Panel, covariance: Float2D, out: Float2D
) -> float:
    """L in units of the largest position, which is returned: squares of it stay in range."""
    unit = 0.0
    for i in range(value.size):
        unit = max(unit, abs(value[i]))
    size = np.abs(value) / unit
    if covariance.size > 0:
        for i in range(value.size):
            for j in range(i + 1):
                a, b = instrument[i], instrument[j]
                both = 0.5 * covariance[a, b] + 0.5 * covariance[b, a]
                out[i, j] = size[i] * both * size[j]
    else:
        legs = np.empty((value.size, panel.shape[1]))
        n = _legs(instrument, size, panel, legs)
        for i in range(value.size):
            for j in range(i + 1):
                out[i, j] = _dot(legs[i], legs[j], n) / (n - 1) if n > 1 else 0.0
    _decompose(out)
    return unit


@part
def _legs(instrument: Int1D, size: Float1D, panel: Panel, out: Float2D) -> int:
    """The departures of size_i r_i from their means over complete observations, and how many."""
    n: int = panel.shape[1]
    total = 0.0
    for i in range(size.size):
        returns = panel[instrument[i]]
        for t in range(n):
            out[i, t] = size[i] * returns[t]
        total += _sum(out[i], n)
    if np.isnan(total):
        n = _drop_incomplete(out)
    for i in range(size.size):
        mean = _sum(out[i], n) / n if n > 0 else 0.0
        for t in range(n):
            out[i, t] -= mean
    return n


@part
def _drop_incomplete(legs: Float2D) -> int:
    """Move the observations in which nothing is missing to the front, and count them."""
    n = 0
    for t in range(legs.shape[1]):
        complete = True
        for i in range(legs.shape[0]):
            complete = complete and not np.isnan(legs[i, t])
            legs[i, n] = legs[i, t]
        n += 1 if complete else 0
    return n


@part
def _decompose(matrix: Float2D) -> None:
    """Cholesky in place, in the lower triangle; NaN all over where anything is not finite."""
    n = matrix.shape[0]
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            total += abs(matrix[i, j])
    if not np.isfinite(total):
        matrix[:] = np.nan
        return
    for j in range(n):
        rest = matrix[j, j]
        for k in range(j):
            rest -= matrix[j, k] * matrix[j, k]
        root = np.sqrt(rest) if rest > n * _ROUNDING * matrix[j, j] else 0.0
        matrix[j, j] = root
        for i in range(j + 1, n):
            shared = matrix[i, j]
            for k in range(j):
                shared -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = shared / root if root > 0.0 else 0.0


@part(reorders=True)
def _sum(series: Float1D, n: int) -> float:
    total = 0.0
    for t in range(n):
        total += series[t]
    return total


@part(reorders=True)
def _dot(left: Float1D, right: Float1D, n: int) -> float:
    total = 0.0
    for t in range(n):
        total += left[t] * right[t]
    return total
