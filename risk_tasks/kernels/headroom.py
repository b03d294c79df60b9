"""The largest trade in a position before a measure of past P&L passes a level.

Outcomes are lines in the traded value x >= 0: y_t(x) = pnl_t + x slope_t. An outcome is observed
if neither is NaN. A leg is one position traded in one direction: a row of `slope`.
"""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import Bool1D, Count, Float1D, Float2D, Int1D, kernel, part
from risk_tasks.kernels.parts import select, smallest

#: relative rounding of a shortfall of the same outcomes in another order
_ROUNDING = 1e-12


@kernel
def rank_exit(pnl: Float1D, slope: Float2D, level: float, rank: Int1D, out: Float1D) -> None:
    """The first x beyond which the outcome of a rank is below a level.

    Parameters
    ----------
    pnl : (T,), base currency, profit positive
    slope : (K, T), fraction
        Returns of the traded instrument, times the direction of the trade.
    level : base currency, profit positive
    rank : (K,), 0 <= rank
        The number of outcomes that may be below `level`.
    out : (K,), base currency
        Receives the largest x such that on [0, x] no more than `rank` outcomes lie below `level`;
        +inf if there is no such end.

    Notes
    -----
    Each line crosses `level` at most once; crossings are counted in ascending order.
    """
    y, s, at = np.empty(pnl.size), np.empty(pnl.size), np.empty(pnl.size)
    falls = np.empty(pnl.size, dtype=np.bool_)
    for k in range(slope.shape[0]):
        n = _observe(pnl, slope[k], y, s)
        out[k] = _rank_exit(y, s, n, level, rank[k], at, falls)


@kernel
def interpolated_exit(
    pnl: Float1D, slope: Float2D, level: float, rank: Int1D, weight: Float1D, out: Float1D
) -> None:
    """The first x beyond which the value between two ranks is below a level.

    Parameters
    ----------
    pnl, slope, level : as of `rank_exit`
    rank : (K,), 0 <= rank < observed outcomes - 1
        The number of outcomes below the lower of the two.
    weight : (K,), 0 < weight < 1
        Weight of the next better outcome.
    out : (K,), base currency
        Receives the largest x such that on [0, x] the value is not below `level`; +inf if it
        never is.

    Notes
    -----
    The value is between the two outcomes: it falls below `level` not before the lower and not after
    the upper does. In between it is piecewise linear, with a piece from each crossing of one of the
    two lines to the next. Two lines cross at most once, so that the walk ends.
    """
    y, s, z = np.empty(pnl.size), np.empty(pnl.size), np.empty(pnl.size)
    is_below = np.empty(pnl.size, dtype=np.bool_)
    for k in range(slope.shape[0]):
        n = _observe(pnl, slope[k], y, s)
        start = _rank_exit(y, s, n, level, rank[k], z, is_below)
        stop = _rank_exit(y, s, n, level, rank[k] + 1, z, is_below)
        out[k] = start
        if start < stop:
            walked = _walk(y[:n], s[:n], level, rank[k], weight[k], start, z, is_below)
            out[k] = min(stop, walked)


@kernel
def shortfall_exit(
    pnl: Float1D,
    slope: Float2D,
    level: float,
    rises: bool,
    rank: Int1D,
    n_tail: Float1D,
    out: Float1D,
) -> None:
    """The first x beyond which the expected shortfall passes a level.

    Parameters
    ----------
    pnl, slope : as of `rank_exit`
    level : base currency, loss positive
    rises : bool
        Whether it passes `level` upwards; else downwards.
    rank, n_tail : (K,)
        As of `history.expected_shortfall`, for the observed outcomes of each leg.
    out : (K,), base currency
        Receives the largest x such that on [0, x] the shortfall does not pass, +inf for never.

    Notes
    -----
    The shortfall is convex and piecewise linear in x, so that Newton's method reaches the crossing
    exactly, in at most as many steps as there are pieces: downwards from x = 0, upwards from the
    last piece. Convexity: Rockafellar, Uryasev (2002).
    """
    y, s, z = np.empty(pnl.size), np.empty(pnl.size), np.empty(pnl.size)
    for k in range(slope.shape[0]):
        n = _observe(pnl, slope[k], y, s)
        k_tail, a = rank[k], n_tail[k]
        height, _ = _tail(y[:n], s[:n], k_tail, a)
        over = height - level if rises else level - height
        # Already beyond the level, by more than rounding: no headroom.
        if over > _ROUNDING * (abs(height) + abs(level)):
            out[k] = 0.0
            continue
        if not rises:
            out[k] = _shortfall_falls(y[:n], s[:n], z[:n], level, k_tail, a)
            continue
        # The last piece: the lines in their order at infinity, by slope.
        steepness, height = _tail(s[:n], y[:n], k_tail, a)
        out[k] = np.inf
        if steepness > 0.0:
            x = max(0.0, (level - height) / steepness)
            out[k] = _shortfall_rises(y[:n], s[:n], z[:n], level, k_tail, a, x)


@part
def _observe(pnl: Float1D, slope: Float1D, y: Float1D, s: Float1D) -> int:
    n = 0
    for t in range(pnl.size):
        if not (np.isnan(pnl[t]) or np.isnan(slope[t])):
            y[n], s[n] = pnl[t], slope[t]
            n += 1
    return n


@part
def _rank_exit(
    y: Float1D, s: Float1D, n: int, level: float, rank: int, at: Float1D, falls: Bool1D
) -> float:
    """As `rank_exit`, of one leg; `at` and `falls` (n,) are scratch."""
    n_crossings: Count = np.int64(0)
    n_below = 0
    for t in range(n):
        if y[t] < level:
            n_below += 1
        if (y[t] >= level and s[t] < 0.0) or (y[t] < level and s[t] > 0.0):
            at[n_crossings] = (level - y[t]) / s[t]
            falls[n_crossings] = s[t] < 0.0
            n_crossings += 1
    if n_below > rank:
        return 0.0
    # A heap, because few of the crossings are needed.
    for root in range(n_crossings // 2 - 1, -1, -1):
        _sift_down(at, falls, root, n_crossings)
    while n_crossings > 0:
        # A line that rises to the level at x is no longer below it there; one that falls is below
        # it only beyond x.
        x = at[0]
        while n_crossings > 0 and at[0] == x:
            n_below += 1 if falls[0] else -1
            n_crossings -= 1
            at[0], falls[0] = at[n_crossings], falls[n_crossings]
            _sift_down(at, falls, np.int64(0), n_crossings)
        if n_below > rank:
            return float(x)
    return np.inf


@part
def _sift_down(at: Float1D, falls: Bool1D, root: Count, n: Count) -> None:
    """Restore the heap of the first `n`, the smallest `at` on top, below `root`."""
    while 2 * root + 1 < n:
        child = 2 * root + 1
        if child + 1 < n and at[child + 1] < at[child]:
            child += 1
        if not at[child] < at[root]:
            return
        at[root], at[child] = at[child], at[root]
        falls[root], falls[child] = falls[child], falls[root]
        root = child


@part
def _walk(
    y: Float1D,
    s: Float1D,
    level: float,
    rank: int,
    weight: float,
    x: float,
    z: Float1D,
    is_below: Bool1D,
) -> float:
    """Follow the two lines from `x` on; `z` and `is_below` (n,) are scratch."""
    low, high = _neighbours(y, s, rank, x, z, is_below)
    while True:
        at, other = _next_meeting(y, s, is_below, low, high, x)
        height = (1.0 - weight) * (y[low] + x * s[low]) + weight * (y[high] + x * s[high])
        steepness = (1.0 - weight) * s[low] + weight * s[high]
        if steepness < 0.0 and height + (at - x) * steepness < level:
            return float(x + max(0.0, (level - height) / steepness))
        if at == np.inf:
            return np.inf
        x = at
        if other < 0:
            low, high = high, low
        elif is_below[other]:
            is_below[other], is_below[low] = False, True
            low = other
        else:
            high = other


@part
def _neighbours(
    y: Float1D, s: Float1D, rank: int, x: float, z: Float1D, is_below: Bool1D
) -> tuple[Count, Count]:
    """The lines of `rank` and `rank` + 1 at `x`; `is_below` receives which lie below the first."""
    for t in range(y.size):
        z[t] = y[t] + x * s[t]
    lower = select(z, y.size, rank + 1)
    n_left = rank
    for t in range(y.size):
        n_left -= 1 if y[t] + x * s[t] < lower else 0
    low: Count = np.int64(-1)
    high: Count = np.int64(-1)
    for t in range(y.size):
        value = y[t] + x * s[t]
        is_tied = value == lower
        is_below[t] = value < lower or (is_tied and n_left > 0)
        if is_tied and n_left > 0:
            n_left -= 1
        elif is_tied and low < 0:
            low = t
        elif value >= lower and (high < 0 or value < y[high] + x * s[high]):
            high = t
    return low, high


@part
def _next_meeting(
    y: Float1D, s: Float1D, is_below: Bool1D, low: Count, high: Count, x: float
) -> tuple[float, int]:
    """Return where a line next crosses one of the two, and which; -1 for the two themselves."""
    at, other = np.inf, -1
    if s[low] > s[high]:
        at = max(x, (y[high] - y[low]) / (s[low] - s[high]))
    for t in range(y.size):
        meets = np.inf
        if is_below[t] and s[t] > s[low]:
            meets = max(x, (y[low] - y[t]) / (s[t] - s[low]))
        elif not is_below[t] and t != low and s[t] < s[high]:
            meets = max(x, (y[t] - y[high]) / (s[high] - s[t]))
        if meets < at:
            at, other = meets, t
    return at, other


@part
def _shortfall_rises(
    y: Float1D, s: Float1D, z: Float1D, level: float, rank: int, n_tail: float, x: float
) -> float:
    while x > 0.0:
        for t in range(y.size):
            z[t] = y[t] + x * s[t]
        height, steepness = _tail(z, s, rank, n_tail)
        lower = x - (height - level) / steepness if steepness > 0.0 else x
        if not lower < x:
            return x
        x = max(0.0, lower)
    return x


@part
def _shortfall_falls(
    y: Float1D, s: Float1D, z: Float1D, level: float, rank: int, n_tail: float
) -> float:
    x = 0.0
    while True:
        for t in range(y.size):
            z[t] = y[t] + x * s[t]
        height, steepness = _tail(z, s, rank, n_tail)
        if steepness >= 0.0:
            return np.inf
        higher = x + max(0.0, height - level) / -steepness
        if not higher > x:
            return x
        x = higher


@part
def _tail(z: Float1D, along: Float1D, rank: int, n_tail: float) -> tuple[float, float]:
    """Return the tail means of -z and of -along over the smallest z; ties by the smallest along."""
    work = np.empty(z.size)
    for t in range(z.size):
        work[t] = z[t]
    last = select(work, z.size, rank)
    n_ties: Count = np.int64(0)
    n_less = 0
    depth, drift = 0.0, 0.0
    for t in range(z.size):
        if z[t] < last:
            n_less += 1
            depth += z[t]
            drift += along[t]
        elif z[t] == last:
            work[n_ties] = along[t]
            n_ties += 1
    n_chosen, left = rank - n_less, n_tail - n_less
    chosen = np.empty(n_chosen)
    smallest(work, n_ties, n_chosen, chosen)
    for i in range(n_chosen):
        share = min(1.0, left - i)
        depth += share * last
        drift += share * chosen[i]
    return 0.0 - depth / n_tail, 0.0 - drift / n_tail
