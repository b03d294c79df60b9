"""Random draws, and the worst outcomes of random paths.

The j-th draw of a stream is the j-th number of `numpy.random.Philox(key=[seed, stream])`, on any
machine. Each draw can be computed without the draws before it: there is no state between draws.

Integers are unsigned, have 64 bits and wrap around. Numba converts one to a float if it is combined
with a plain Python integer, so every constant here is a uint64.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import Float2D, Int1D, Word1D, Word2D, kernel, part
from risk_tasks.kernels.parts import select

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_MULTIPLIER_0 = np.uint64(0xD2E7470EE14C6C93)
_MULTIPLIER_1 = np.uint64(0xCA5A826395121157)
_STEP_0 = np.uint64(0x9E3779B97F4A7C15)
_STEP_1 = np.uint64(0xBB67AE8584CAA73B)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_SPARE = np.uint64(12)
#: up to this distance from 1/2 the central formula holds
_CENTRAL = 0.425


@kernel
def random_bits(seed: np.uint64, stream: Word1D, first: int, out: Word2D) -> None:
    """Random bits of several streams.

    Parameters
    ----------
    seed : uint64
    stream : (n,)
    first : a multiple of 4
        Index in its stream of the first draw.
    out : (n, C)
        Receives draws first, first + 1, ... of each stream.

    Notes
    -----
    Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011):
    Philox4x64-10, counted from 1 as NumPy does.
    """
    for i in range(stream.size):
        for start in range(0, out.shape[1], 4):
            four = _philox(np.uint64((first + start) // 4), seed, stream[i])
            for lane in range(min(4, out.shape[1] - start)):
                out[i, start + lane] = four[lane]


@kernel
def normal_draws(seed: np.uint64, stream: Word1D, first: int, out: Float2D) -> None:
    """Standard normal draws of several streams, one for each of the same random bits.

    Parameters
    ----------
    seed, stream, first : as of `random_bits`
    out : (n, C), no unit
        Receives the normal quantile z of u = (k + 1/2) / 2^52, k being the upper 52 bits. |z| is
        below 8.3, and -z is as likely as z.

    Notes
    -----
    Source: Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
    Statistics 37 (1988), PPND16.
    """
    n = out.shape[1]
    u, tail = np.empty(n + 3), np.empty(n + 1, dtype=np.int64)
    for i in range(stream.size):
        for start in range(0, n, 4):
            a, b, c, d = _philox(np.uint64((first + start) // 4), seed, stream[i])
            u[start], u[start + 1] = _uniform(a), _uniform(b)
            u[start + 2], u[start + 3] = _uniform(c), _uniform(d)
        # First all by the central formula, vectorised; then those in the tails again, found
        # without a branch to predict.
        for j in range(n):
            out[i, j] = _central_quantile(u[j] - 0.5)
        n_tail = 0
        for j in range(n):
            tail[n_tail] = j
            n_tail += 1 if abs(u[j] - 0.5) > _CENTRAL else 0
        for j in tail[:n_tail]:
            out[i, j] = _tail_quantile(u[j])


@part
def _philox(
    block: np.uint64, seed: np.uint64, stream: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Ten rounds on a counter of `block` + 1."""
    a, b, c, d = block + _ONE, _ZERO, _ZERO, _ZERO
    key_0, key_1 = seed, stream
    for _ in range(10):
        high_0, low_0 = _high(_MULTIPLIER_0, a), _MULTIPLIER_0 * a
        high_1, low_1 = _high(_MULTIPLIER_1, c), _MULTIPLIER_1 * c
        a, b, c, d = high_1 ^ b ^ key_0, low_1, high_0 ^ d ^ key_1, low_0
        key_0 = key_0 + _STEP_0
        key_1 = key_1 + _STEP_1
    return a, b, c, d


@part
def _high(x: np.uint64, y: np.uint64) -> np.uint64:
    """The upper 64 of the 128 bits of x y, from halves."""
    x_low, x_high = x & _LOW, x >> _HALF
    y_low, y_high = y & _LOW, y >> _HALF
    middle = x_high * y_low + ((x_low * y_low) >> _HALF)
    other = x_low * y_high + (middle & _LOW)
    return x_high * y_high + (middle >> _HALF) + (other >> _HALF)


@part
def _uniform(bits: np.uint64) -> float:
    """Return u strictly between 0 and 1; u and 1 - u are exact."""
    return (float(np.int64(bits >> _SPARE)) + 0.5) * 2.0**-52


@part
def _central_quantile(q: float) -> float:
    """The z with P(Z <= z) = 1/2 + q, to about 1e-16, for |q| <= 0.425."""
    r = 0.180625 - q * q
    above = r * 2509.0809287301226727 + 33430.575583588128105
    above = above * r + 67265.770927008700853
    above = above * r + 45921.953931549871457
    above = above * r + 13731.693765509461125
    above = above * r + 1971.5909503065514427
    above = above * r + 133.14166789178437745
    above = above * r + 3.387132872796366608
    below = r * 5226.495278852854561 + 28729.085735721942674
    below = below * r + 39307.89580009271061
    below = below * r + 21213.794301586595867
    below = below * r + 5394.1960214247511077
    below = below * r + 687.1870074920579083
    below = below * r + 42.313330701600911252
    return q * above / (below * r + 1.0)


@part
def _tail_quantile(u: float) -> float:
    """The z with P(Z <= z) = u, to about 1e-16, for u within 0.075 of 0 or of 1."""
    r = np.sqrt(-np.log(min(u, 1.0 - u)))
    if r <= 5.0:
        r -= 1.6
        above = r * 7.7454501427834140764e-4 + 0.0227238449892691845833
        above = above * r + 0.24178072517745061177
        above = above * r + 1.27045825245236838258
        above = above * r + 3.64784832476320460504
        above = above * r + 5.7694972214606914055
        above = above * r + 4.6303378461565452959
        above = above * r + 1.42343711074968357734
        below = r * 1.05075007164441684324e-9 + 5.475938084995344946e-4
        below = below * r + 0.0151986665636164571966
        below = below * r + 0.14810397642748007459
        below = below * r + 0.68976733498510000455
        below = below * r + 1.6763848301838038494
        below = below * r + 2.05319162663775882187
    else:
        r -= 5.0
        above = r * 2.01033439929228813265e-7 + 2.71155556874348757815e-5
        above = above * r + 0.0012426609473880784386
        above = above * r + 0.026532189526576123093
        above = above * r + 0.29656057182850489123
        above = above * r + 1.7848265399172913358
        above = above * r + 5.4637849111641143699
        above = above * r + 6.6579046435011037772
        below = r * 2.04426310338993978564e-15 + 1.4215117583164458887e-7
        below = below * r + 1.8463183175100546818e-5
        below = below * r + 7.868691311456132591e-4
        below = below * r + 0.0148753612908506148525
        below = below * r + 0.13692988092273580531
        below = below * r + 0.59983220655588793769
    z: float = above / (below * r + 1.0)
    return -z if u < 0.5 else z


#: pairs between two selections of the worst outcomes
_PAIRS = 256


@kernel
def keep_worst_pairs(pnl: Float2D, worst: Float2D, n_kept: Int1D) -> None:
    """Keep the K worst of the outcomes kept before and of new pairs p, -p, of each portfolio.

    Parameters
    ----------
    pnl : (P, C), base currency
        One of each pair; NaN is ignored.
    worst : (P, K), base currency, profit positive, K >= 1
        The outcomes kept so far, unordered; receives the K smallest of these, p and -p. With K
        outcomes the largest is the last.
    n_kept : (P,)
        The number of outcomes kept.

    Notes
    -----
    The result does not depend on the partition of outcomes into calls.
    """
    k = worst.shape[1]
    kept = np.empty(2 * k + 2 * _PAIRS + 1)
    for p in range(pnl.shape[0]):
        n = n_kept[p]
        for i in range(n):
            kept[i] = worst[p, i]
        threshold = kept[k - 1] if n == k else np.inf
        for start in range(0, pnl.shape[1], _PAIRS):
            # Without a branch to predict.
            for t in range(start, min(start + _PAIRS, pnl.shape[1])):
                x = pnl[p, t]
                kept[n] = x
                n += 1 if x < threshold else 0
                kept[n] = -x
                n += 1 if -x < threshold else 0
            if n >= 2 * k:
                threshold = select(kept, n, k)
                n = k
        # Also with exactly K outcomes: the largest must be the last.
        if n >= k and n > n_kept[p]:
            select(kept, n, k)
            n = k
        for i in range(n):
            worst[p, i] = kept[i]
        n_kept[p] = n
