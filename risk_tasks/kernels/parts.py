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


@part
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return the rounded sum of two numbers, and its rounding error, which is exact.

    Source: Knuth, The Art of Computer Programming, vol. 2, 3rd ed., 4.2.2, theorem B.
    """
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


@part
def is_rounded(total: float, rest: float, n: Count, size: float) -> bool:
    """Whether `total` is the exact sum rounded once, if `rest` is the computed remainder of it.

    Both come from `two_sum` over `n` terms with the sum of absolute values `size`. The remainder is
    off by at most (n^2 + 3 n + 3) u^2 size, u = 2^-53. Where that number may underflow, the answer
    is no.
    """
    error = 4.0 * (n + 1.0) * (n + 1.0) * 2.0**-106 * size
    if size == 0.0:
        return True
    return error > 1e-290 and total + (rest + error) == total and total + (rest - error) == total


@part
def exact_sum(terms: Float1D, n: Count) -> float:
    """Return the sum of the first `n`, finite, rounded once; overwrites them.

    The result does not depend on their order. Source: Shewchuk, "Adaptive precision floating-point
    arithmetic and fast robust geometric predicates", Discrete and Computational Geometry 18 (1997).
    """
    count: Count = np.int64(0)
    for t in range(n):
        x = terms[t]
        kept: Count = np.int64(0)
        for i in range(count):
            x, low = two_sum(x, terms[i])
            if low != 0.0:
                terms[kept] = low
                kept += 1
        terms[kept] = x
        count = kept + 1
    total, low = 0.0, 0.0
    while count > 0 and low == 0.0:
        count -= 1
        total, low = two_sum(total, terms[count])
    # Half of the last place: the next part decides which way to round.
    if count > 0 and low * terms[count - 1] > 0.0:
        doubled = total + 2.0 * low
        if doubled - total == 2.0 * low:
            total = doubled
    return total + 0.0
