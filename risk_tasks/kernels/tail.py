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
