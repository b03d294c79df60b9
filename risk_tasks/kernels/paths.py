"""The worst of many random outcomes that come in pairs, each the mirror of the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel, part

Float1D = npt.NDArray[np.float64]
Float2D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]

#: pairs that are looked at before what is kept is thinned out
_PAIRS = 256


@kernel
def keep_worst_pairs(pnl: Float2D, worst: Float2D, n_kept: Int1D) -> None:
    """Keep the K worst outcomes of each portfolio out of those kept before, p and -p.

    Parameters
    ----------
    pnl : (P, C), base currency
        One of each pair; NaN is passed over.
    worst : (P, K), base currency, profit positive, K >= 1
        The outcomes kept so far, in no order; receives the K smallest of these, p and -p. With K of
        them the largest stands last.
    n_kept : (P,)
        How many are kept.

    Notes
    -----
    What is kept is a matter of the outcomes and not of how they are cut into calls.
    """
    k = worst.shape[1]
    kept = np.empty(2 * k + 2 * _PAIRS + 1)
    for p in range(pnl.shape[0]):
        n = n_kept[p]
        kept[:n] = worst[p, :n]
        threshold = kept[k - 1] if n == k else np.inf
        for start in range(0, pnl.shape[1], _PAIRS):
            # Without a branch for the processor to guess.
            for t in range(start, min(start + _PAIRS, pnl.shape[1])):
                x = pnl[p, t]
                kept[n] = x
                n += 1 if x < threshold else 0
                kept[n] = -x
                n += 1 if -x < threshold else 0
            if n >= 2 * k:
                threshold = _thin_out(kept, n, k)
                n = k
        # Also where just K are kept: the largest of them is to stand last.
        if n >= k and n > n_kept[p]:
            _thin_out(kept, n, k)
            n = k
        worst[p, :n] = kept[:n]
        n_kept[p] = n


@part
def _thin_out(outcome: Float1D, n: int, k: int) -> float:
    """Bring the k smallest of n to the front and return the largest of them, which stands last.

    Quickselect: neither side is sorted.
    """
    left, right = 0, n - 1
    while left < right:
        pivot = _median(outcome[left], outcome[(left + right) // 2], outcome[right])
        i, j = left, right
        while i <= j:
            while outcome[i] < pivot:
                i += 1
            while outcome[j] > pivot:
                j -= 1
            if i <= j:
                outcome[i], outcome[j] = outcome[j], outcome[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            right = j
        elif k - 1 >= i:
            left = i
        else:
            break
    largest: float = outcome[k - 1]
    return largest


@part
def _median(a: float, b: float, c: float) -> float:
    return max(min(a, b), min(max(a, b), c))
