"""The worst outcomes of each portfolio, and what is read from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]


@kernel
def worst(pnl: Float2D, out: Float2D) -> None:
    """The K worst outcomes of each row, worst first.

    Parameters
    ----------
    pnl : (P, T), base currency, profit positive
        NaN is a missing observation and is passed over.
    out : (P, K), base currency, profit positive
        Receives the K smallest, ascending; +inf where a row has fewer than K observations.

    Notes
    -----
    Bounded insertion, O(T + hits x K): a row is read once and never sorted.
    """
    k = out.shape[1]
    for p in range(pnl.shape[0]):
        best = out[p]
        best[:] = np.inf
        for t in range(pnl.shape[1]):
            x = pnl[p, t]
            if x < best[k - 1]:
                place = k - 1
                while place > 0 and best[place - 1] > x:
                    best[place] = best[place - 1]
                    place -= 1
                best[place] = x


@kernel
def value_at_risk(tail: Float2D, rank: Int1D, weight: Float1D, out: Float1D) -> None:
    """Historical value-at-risk from the worst outcomes.

    Parameters
    ----------
    tail : (P, K), base currency, profit positive
        The worst outcomes, ascending.
    rank : (P,)
        How many outcomes are worse than the one that is read.
    weight : (P,), 0 <= weight < 1
        How far to interpolate towards the next better outcome; 0 reads an order statistic.
    out : (P,), base currency, loss positive
        Receives the VaR; negative for a book that gains even in its tail.

    Notes
    -----
    Source: Hull, Options, Futures and Other Derivatives, 10th ed., 22.2; the conventions are
    compared in `docs/measures.md`.
    """
    for p in range(tail.shape[0]):
        x = tail[p, rank[p]]
        if weight[p] > 0.0:
            x += weight[p] * (tail[p, rank[p] + 1] - x)
        out[p] = 0.0 - x


@kernel
def expected_shortfall(tail: Float2D, rank: Int1D, n_tail: Float1D, out: Float1D) -> None:
    """Historical expected shortfall: the mean of the worst n x alpha outcomes, the last in part.

    ES = [sum of the k - 1 worst losses + (n alpha - (k - 1)) x the k-th] / (n alpha), computed as
    the k-th loss plus the mean excess over it, so that rounding never puts it below the VaR.

    Parameters
    ----------
    tail : (P, K), base currency, profit positive
        The worst outcomes, ascending.
    rank : (P,)
        k = max(1, ceil(n alpha)) <= K.
    n_tail : (P,)
        n alpha > 0, not rounded.
    out : (P,), base currency, loss positive
        Never below the VaR of the k-th worst.

    Notes
    -----
    Source: Acerbi, Tasche, "On the coherence of expected shortfall", Journal of Banking and
    Finance 26 (2002), section 4; Rockafellar, Uryasev (2002).
    """
    for p in range(tail.shape[0]):
        last = tail[p, rank[p] - 1]
        excess = 0.0
        for i in range(rank[p] - 1):
            excess += last - tail[p, i]
        out[p] = excess / n_tail[p] - last + 0.0


@kernel
def dispersion(pnl: Float2D, n_observations: Int1D, out: Float1D) -> None:
    """Count and sample standard deviation of each row.

    Parameters
    ----------
    pnl : (P, T), base currency
        NaN is a missing observation and is passed over.
    n_observations : (P,)
        Receives how many there are.
    out : (P,), base currency, never negative
        Receives the standard deviation with n - 1 in the denominator; 0 where n < 2.

    Notes
    -----
    Two passes: the mean first, then the squares around it, so that a large mean does not cancel
    the spread. Equals sqrt(V' Cov V) of the sample covariance over the same observations.
    """
    for p in range(pnl.shape[0]):
        n = 0
        total = 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                n += 1
                total += pnl[p, t]
        n_observations[p] = n
        out[p] = 0.0
        if n > 1:
            mean = total / n
            squares = 0.0
            for t in range(pnl.shape[1]):
                if not np.isnan(pnl[p, t]):
                    squares += (pnl[p, t] - mean) ** 2
            out[p] = np.sqrt(squares / (n - 1))
