"""Covariances of few observations, drawn towards one that is simpler."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel, part

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]
Panel = npt.NDArray[np.float64] | npt.NDArray[np.float32]


@kernel
def ledoit_wolf(
    offsets: Int1D, instrument: Int1D, value: Float1D, panel: Panel, out: Float2D
) -> None:
    """Volatility of each portfolio under the covariance of what it holds, shrunk to mu I.

    S* = (1 - s) S + s mu I, S the covariance with n in the denominator over the n observations in
    which all that is held has a return, mu the mean of its diagonal, and s = min(b, d) / d with
    d = |S - mu I|^2 and b = sum over t of |x_t x_t' - S|^2 / n^2, |.| the root of the sum of
    squares, x_t the returns of an observation less their means.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
        Rows of `panel`, each at most once in a portfolio; their order is that of the sums.
    value : (N,), base currency, not 0
    panel : (n, T), fraction
        Returns by instrument; NaN is a missing one.
    out : (P, 3)
        Receives the volatility sqrt(V' S* V) in base currency, s in 0 to 1, and mu, a squared
        fraction. Zeros where nothing is held, observed, or moves.

    Notes
    -----
    Returns are divided by the largest departure, and values by the largest of them, before they
    are raised to a power. Source: Ledoit, Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", Journal of Multivariate Analysis 88 (2004).
    """
    for p in range(offsets.size - 1):
        start, m = offsets[p], offsets[p + 1] - offsets[p]
        x = np.empty((m, panel.shape[1]))
        n, largest = _departures(instrument[start : start + m], panel, x)
        out[p] = 0.0
        if n == 0 or largest == 0.0:
            continue
        x /= largest
        mu, shrinkage = _shrinkage(x, n)
        most = np.abs(value[start : start + m]).max()
        pnl = np.zeros(n)
        squares = 0.0
        for i in range(m):
            share = value[start + i] / most
            squares += share * share
            for t in range(n):
                pnl[t] += share * x[i, t]
        variance = (1.0 - shrinkage) * (_dot(pnl, pnl, n) / n) + shrinkage * mu * squares
        out[p, 0] = largest * most * np.sqrt(variance)
        out[p, 1] = shrinkage
        out[p, 2] = mu * largest * largest


@part
def _departures(instrument: Int1D, panel: Panel, x: Float2D) -> tuple[int, float]:
    """Write complete observations less their means; return how many, and the largest of all."""
    complete = np.ones(panel.shape[1], dtype=np.bool_)
    for i in range(instrument.size):
        for t in range(complete.size):
            complete[t] &= not np.isnan(panel[instrument[i], t])
    n, largest = 0, 0.0
    for i in range(instrument.size):
        n = 0
        for t in range(complete.size):
            x[i, n] = panel[instrument[i], t]
            n += 1 if complete[t] else 0
        mean = _sum(x[i], n) / max(1, n)
        for t in range(n):
            x[i, t] -= mean
            largest = max(largest, abs(x[i, t]))
    return n, largest


@part
def _shrinkage(x: Float2D, n: int) -> tuple[float, float]:
    """Return mu and s of the departures (m, n), written row by row."""
    m = x.shape[0]
    diagonal = np.empty(m)
    norm = np.zeros(n)
    for i in range(m):
        diagonal[i] = _dot(x[i], x[i], n) / n
        for t in range(n):
            norm[t] += x[i, t] * x[i, t]
    mu = diagonal.sum() / m
    beyond = 0.0
    for i in range(m):
        for j in range(i):
            covariance = _dot(x[i], x[j], n) / n
            beyond += 2.0 * covariance * covariance
    distance = beyond + ((diagonal - mu) ** 2).sum()
    spread = max(0.0, _dot(norm, norm, n) / n - (beyond + (diagonal**2).sum())) / n
    return mu, min(spread, distance) / distance if distance > 0.0 else 0.0


@part(reorders=True)
def _dot(left: Float1D, right: Float1D, n: int) -> float:
    total = 0.0
    for t in range(n):
        total += left[t] * right[t]
    return total


@part(reorders=True)
def _sum(row: Float1D, n: int) -> float:
    total = 0.0
    for t in range(n):
        total += row[t]
    return total
