"""Parts that several kernels are made of."""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import Count, Float1D, part


@part(reorders=True)
def sum_of(series: Float1D, n: Count) -> float:
    """Sum of the first `n`; NaN if one of them is NaN."""
    total = 0.0
    for t in range(n):
        total += series[t]
    return total


@part(reorders=True)
def dot(left: Float1D, right: Float1D, n: Count) -> float:
    """Sum of the products of the first `n`."""
    total = 0.0
    for t in range(n):
        total += left[t] * right[t]
    return total


@part
def median(a: float, b: float, c: float) -> float:
    """Return the middle one of three values."""
    return max(min(a, b), min(max(a, b), c))


@part
def select(values: Float1D, n: Count, k: int) -> float:
    """Move the `k` smallest of the first `n` to the front; return the largest of these.

    Quickselect: neither side is sorted.
    """
    left, right = 0, n - 1
    while left < right:
        pivot = median(values[left], values[(left + right) // 2], values[right])
        i, j = left, right
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            right = j
        elif k - 1 >= i:
            left = i
        else:
            break
    largest: float = values[k - 1]
    return largest


@part
def smallest(values: Float1D, n: Count, k: int, out: Float1D) -> None:
    """Write the `k` smallest of the first `n` to `out`, ascending; +inf where there are fewer.

    Bounded insertion, for small `k`. NaN compares false and is ignored.
    """
    for i in range(k):
        out[i] = np.inf
    for t in range(n):
        x = values[t]
        if x < out[k - 1]:
            i = k - 1
            while i > 0 and out[i - 1] > x:
                out[i] = out[i - 1]
                i -= 1
            out[i] = x
