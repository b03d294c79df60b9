"""P&L of each portfolio over the past returns, and what is read from it, in one pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel, part

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]
Panel = npt.NDArray[np.float64] | npt.NDArray[np.float32]


@kernel
def profit_and_loss(
    offsets: Int1D, instrument: Int1D, value: Float1D, panel: Panel, out: Float2D
) -> None:
    """P&L of each portfolio in each observation, p_t = sum of V_i r_ti.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
        Rows of `panel`.
    value : (N,), base currency
    panel : (n, T), fraction
        Returns by instrument; NaN is a missing one.
    out : (P, T), base currency, profit positive
        Receives NaN where a held instrument's return is missing. A position worth exactly 0 is
        not held. An empty portfolio has zeros.
    """
    for p in range(offsets.size - 1):
        _accumulate(offsets[p], offsets[p + 1], instrument, value, panel, out[p])


@kernel
def outcomes(
    offsets: Int1D,
    instrument: Int1D,
    value: Float1D,
    panel: Panel,
    reach: float,
    tail: Float2D,
    n_observations: Int1D,
    deviation: Float1D,
) -> None:
    """The K worst outcomes of each portfolio, and how many there are and how far they spread.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
        Rows of `panel`.
    value : (N,), base currency
    panel : (n, T), fraction
        Returns by instrument; NaN is a missing one.
    reach : standard deviations
        The worst are first looked for further than this below the mean, then everywhere: it
        decides how long the search takes, never what it finds.
    tail : (P, K), base currency, profit positive
        Receives the K smallest P&L, ascending; +inf where there are fewer than K.
    n_observations : (P,)
        Receives how many observations have a return for all that is held.
    deviation : (P,), base currency, never negative
        Receives the standard deviation with n - 1 in the denominator; 0 where n < 2.

    Notes
    -----
    The P&L of one portfolio stays in the nearest cache and is never written out. Equals
    sqrt(V' Cov V) of the sample covariance over the same observations. What was tried is in
    `docs/decisions/0002-kernels.md`.
    """
    pnl = np.empty(panel.shape[1])
    beyond = np.empty(panel.shape[1] + 1)
    for p in range(offsets.size - 1):
        _accumulate(offsets[p], offsets[p + 1], instrument, value, panel, pnl)
        n = pnl.size
        total = _sum(pnl)
        if np.isnan(total):
            n, total = _sum_present(pnl)
        mean = total / n if n > 0 else 0.0
        squares = _sum_squares(pnl, mean) if n == pnl.size else _sum_squares_present(pnl, mean)
        n_observations[p] = n
        deviation[p] = np.sqrt(squares / (n - 1)) if n > 1 else 0.0
        n_beyond = _select(pnl, mean - reach * deviation[p], beyond)
        if n_beyond < tail.shape[1]:
            _keep_worst(pnl, pnl.size, tail[p])
        else:
            _keep_worst(beyond, n_beyond, tail[p])


@kernel
def semi_deviation(pnl: Float2D, out: Float1D) -> None:
    """How far the outcomes of each portfolio that lie below their mean spread from it.

    Parameters
    ----------
    pnl : (P, T), base currency, profit positive
        NaN is a missing outcome.
    out : (P,), base currency, never negative
        Receives the root of the squares below the mean over n - 1; 0 where n < 2.
    """
    for p in range(pnl.shape[0]):
        n, total = _sum_present(pnl[p])
        mean = total / n if n > 0 else 0.0
        squares = 0.0
        for t in range(pnl.shape[1]):
            below = pnl[p, t] - mean
            squares += below * below if below < 0.0 else 0.0
        out[p] = np.sqrt(squares / (n - 1)) if n > 1 else 0.0


@part
def _accumulate(
    start: int, stop: int, instrument: Int1D, value: Float1D, panel: Panel, pnl: Float1D
) -> None:
    """Four positions a pass: each pass reads and writes all of `pnl`.

    The four are the next that are held: what is not held moves no bit.
    """
    pnl[:] = 0.0
    a = _next_held(value, start, stop)
    while a < stop:
        b = _next_held(value, a + 1, stop)
        c = _next_held(value, b + 1, stop)
        d = _next_held(value, c + 1, stop)
        if d < stop:
            v0, v1, v2, v3 = value[a], value[b], value[c], value[d]
            r0, r1 = panel[instrument[a]], panel[instrument[b]]
            r2, r3 = panel[instrument[c]], panel[instrument[d]]
            for t in range(pnl.size):
                pnl[t] += (v0 * r0[t] + v1 * r1[t]) + (v2 * r2[t] + v3 * r3[t])
            a = _next_held(value, d + 1, stop)
        else:
            v, r = value[a], panel[instrument[a]]
            for t in range(pnl.size):
                pnl[t] += v * r[t]
            a = b


@part
def _next_held(value: Float1D, j: int, stop: int) -> int:
    """A missing return of what is not held is not missed."""
    while j < stop and value[j] == 0.0:
        j += 1
    return j


@part(reorders=True)
def _sum(pnl: Float1D) -> float:
    """NaN where any outcome is missing."""
    total = 0.0
    for t in range(pnl.size):
        total += pnl[t]
    return total


@part(reorders=True)
def _sum_squares(pnl: Float1D, mean: float) -> float:
    """Around the mean, so that a large one does not cancel the spread."""
    squares = 0.0
    for t in range(pnl.size):
        excess = pnl[t] - mean
        squares += excess * excess
    return squares


@part
def _sum_present(pnl: Float1D) -> tuple[int, float]:
    n = 0
    total = 0.0
    for t in range(pnl.size):
        if not np.isnan(pnl[t]):
            n += 1
            total += pnl[t]
    return n, total


@part
def _sum_squares_present(pnl: Float1D, mean: float) -> float:
    squares = 0.0
    for t in range(pnl.size):
        if not np.isnan(pnl[t]):
            squares += (pnl[t] - mean) ** 2
    return squares


@part
def _select(pnl: Float1D, threshold: float, out: Float1D) -> int:
    """Copy what does not exceed `threshold`, without a branch for the processor to guess."""
    n = 0
    for t in range(pnl.size):
        out[n] = pnl[t]
        n += 1 if pnl[t] <= threshold else 0
    return n


@part
def _keep_worst(outcome: Float1D, n: int, best: Float1D) -> None:
    """Bounded insertion; NaN compares false and is passed over."""
    best[:] = np.inf
    k = best.size
    for t in range(n):
        x = outcome[t]
        if x < best[k - 1]:
            place = k - 1
            while place > 0 and best[place - 1] > x:
                best[place] = best[place - 1]
                place -= 1
            best[place] = x
