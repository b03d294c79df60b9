"""What is read from the worst outcomes of each portfolio."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]


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
    compared in `docs/reference/measures.md`.
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
def shortfall_of_one(
    pnl: Float2D,
    last: Float1D,
    rank: Int1D,
    n_tail: Float1D,
    value: Float1D,
    returns: Float1D,
    out: Float1D,
) -> None:
    """What one instrument adds to the expected shortfall of each portfolio.

    Parameters
    ----------
    pnl : (P, T), base currency, profit positive
        NaN is a missing outcome.
    last : (P,)
        The k-th smallest of each row of `pnl`, to the bit.
    rank : (P,)
        k = max(1, ceil(n alpha)).
    n_tail : (P,)
        n alpha > 0, not rounded.
    value : (P,), base currency
        What each portfolio holds of the instrument, signed.
    returns : (T,), fraction
        Of the instrument; read where it is held and an outcome stands in the tail.
    out : (P,), base currency, adds to the shortfall positive
        Receives the mean of -V r_t over the tail, the last in part. Of outcomes equal to the last
        the earlier ones are in the tail. 0 where nothing is held.

    Notes
    -----
    Nothing is sorted: two passes, in the order of time. Source: Tasche, Risk contributions and
    performance measurement (1999).
    """
    for p in range(pnl.shape[0]):
        out[p] = 0.0
        if value[p] == 0.0:
            continue
        n_worse = 0
        for t in range(pnl.shape[1]):
            n_worse += 1 if pnl[p, t] < last[p] else 0
        n_tied = rank[p] - n_worse
        total = 0.0
        for t in range(pnl.shape[1]):
            if pnl[p, t] < last[p]:
                total -= value[p] * returns[t]
            elif pnl[p, t] == last[p] and n_tied > 0:
                weight = min(1.0, n_tail[p] - (rank[p] - n_tied))
                n_tied -= 1
                total -= weight * (value[p] * returns[t])
        out[p] = total / n_tail[p] + 0.0
