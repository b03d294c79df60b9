"""P&L of each portfolio over the past returns, its tail, and its moments."""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import Float1D, Float2D, Int1D, Panel, kernel, part
from risk_tasks.kernels.parts import smallest, sum_of


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
        Returns by instrument; NaN is a missing return.
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
    """The K worst outcomes of each portfolio, the number of outcomes and their deviation.

    Parameters
    ----------
    offsets, instrument, value, panel : as of `profit_and_loss`
    reach : standard deviations
        The search for the worst outcomes starts further than this below the mean, and continues
        everywhere if it finds too few. `reach` affects the time of the search, never its result.
    tail : (P, K), base currency, profit positive
        Receives the K smallest P&L, ascending; +inf if there are fewer than K.
    n_observations : (P,)
        Receives the number of observations with a return for every held instrument.
    deviation : (P,), base currency, never negative
        Receives the standard deviation with n - 1 in the denominator; 0 where n < 2.

    Notes
    -----
    The P&L of one portfolio stays in the first-level cache. The deviation equals sqrt(V' Cov V) of
    the sample covariance over the same observations. Alternatives that were measured are in
    `docs/decisions/0002-kernels.md`.
    """
    pnl = np.empty(panel.shape[1])
    beyond = np.empty(panel.shape[1] + 1)
    for p in range(offsets.size - 1):
        _accumulate(offsets[p], offsets[p + 1], instrument, value, panel, pnl)
        n = pnl.size
        total = sum_of(pnl, n)
        if np.isnan(total):
            n, total = _sum_present(pnl)
        mean = total / n if n > 0 else 0.0
        squares = _sum_squares(pnl, mean) if n == pnl.size else _sum_squares_present(pnl, mean)
        n_observations[p] = n
        deviation[p] = np.sqrt(squares / (n - 1)) if n > 1 else 0.0
        n_beyond = _select(pnl, mean - reach * deviation[p], beyond)
        if n_beyond < tail.shape[1]:
            smallest(pnl, pnl.size, tail.shape[1], tail[p])
        else:
            smallest(beyond, n_beyond, tail.shape[1], tail[p])


@kernel
def semi_deviation(pnl: Float2D, out: Float1D) -> None:
    """Semi-deviation: the deviation of each portfolio's outcomes below their mean.

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

    Positions worth 0 are skipped, so that they change no bit.
    """
    for t in range(pnl.size):
        pnl[t] = 0.0
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
    """Return the next position from `j` on that is not worth 0, or `stop`."""
    while j < stop and value[j] == 0.0:
        j += 1
    return j


@part(reorders=True)
def _sum_squares(pnl: Float1D, mean: float) -> float:
    """Around the mean: a large mean would cancel the deviation."""
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
    """Copy what does not exceed `threshold`, without a branch to predict."""
    n = 0
    for t in range(pnl.size):
        out[n] = pnl[t]
        n += 1 if pnl[t] <= threshold else 0
    return n


@kernel
def value_at_risk(tail: Float2D, rank: Int1D, weight: Float1D, out: Float1D) -> None:
    """Historical value-at-risk from the worst outcomes.

    Parameters
    ----------
    tail : (P, K), base currency, profit positive
        The worst outcomes, ascending.
    rank : (P,)
        The number of outcomes that are worse than the VaR.
    weight : (P,), 0 <= weight < 1
        Weight of the next better outcome; 0 for an order statistic.
    out : (P,), base currency, loss positive
        Receives the VaR; negative if the portfolio gains even in its tail.

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
    """The contribution of one instrument to the expected shortfall of each portfolio.

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
        Value of each portfolio's position in the instrument, signed.
    returns : (T,), fraction
        Of the instrument.
    out : (P,), base currency, positive if it adds to the shortfall
        Receives the mean of -V r_t over the tail; the last outcome has a fractional weight, and
        ties with it enter by time. 0 if the instrument is not held.

    Notes
    -----
    Two passes in the order of time, without a sort. Source: Tasche, Risk contributions and
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


@kernel
def moments(pnl: Float2D, out: Float2D) -> None:
    """Mean, spread, skewness and excess kurtosis of the outcomes of each portfolio.

    Parameters
    ----------
    pnl : (P, T), base currency, profit positive
        NaN is a missing outcome.
    out : (P, 4)
        Receives the mean and the standard deviation in base currency, the skewness and the excess
        kurtosis without unit, all with n in the denominator. Skewness and kurtosis are 0 if the
        deviation is; all are 0 without observations.

    Notes
    -----
    Outcomes are divided by their deviation before they are raised to the fourth power, to avoid
    overflow and underflow.
    """
    for p in range(pnl.shape[0]):
        n, total, squares = 0, 0.0, 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                n += 1
                total += pnl[p, t]
        mean = total / n if n > 0 else 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                squares += (pnl[p, t] - mean) ** 2
        deviation = np.sqrt(squares / n) if n > 0 else 0.0
        cubes, fourths = 0.0, 0.0
        if deviation > 0.0:
            for t in range(pnl.shape[1]):
                if not np.isnan(pnl[p, t]):
                    u = (pnl[p, t] - mean) / deviation
                    cubes += u * u * u
                    fourths += u * u * u * u
        out[p, 0], out[p, 1] = mean, deviation
        out[p, 2] = cubes / n if deviation > 0.0 else 0.0
        out[p, 3] = fourths / n - 3.0 if deviation > 0.0 else 0.0
