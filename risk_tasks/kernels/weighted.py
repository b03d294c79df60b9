"""Measures that weight past outcomes by their age."""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import Count, Float1D, Float2D, kernel, part
from risk_tasks.kernels.parts import median


@kernel
def ewma_volatility(pnl: Float2D, decay: float, out: Float1D) -> None:
    """Root of the exponentially weighted mean square of the outcomes of each portfolio.

    Parameters
    ----------
    pnl : (P, T), base currency, profit positive
        Oldest first. NaN is a missing outcome: it does not count and does not age the others.
    decay : 0 < decay < 1
        Ratio of the weight of an outcome to that of the next one.
    out : (P,), base currency, never negative
        Receives the volatility around a mean of 0; 0 without observations.

    Notes
    -----
    Source: J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th ed. (1996), chapter 5.
    """
    for p in range(pnl.shape[0]):
        squares, total = 0.0, 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                squares = decay * squares + pnl[p, t] * pnl[p, t]
                total = decay * total + 1.0
        out[p] = np.sqrt(squares / total) if total > 0.0 else 0.0


@kernel
def age_weighted_value_at_risk(pnl: Float2D, decay: float, n_tail: Float1D, out: Float1D) -> None:
    """Smallest loss at which the weights, summed from the worst outcome, reach the tail.

    Parameters
    ----------
    pnl : (P, T), as of `ewma_volatility`
    decay : 0 < decay <= 1
        Ratio of the weight of an outcome to that of the next one. With 1 weights are counts, which
        add without rounding.
    n_tail : (P,)
        n alpha > 0 for the n outcomes that are observed, not rounded.
    out : (P,), base currency, loss positive
        Receives the VaR; negative if the portfolio gains even in its tail, 0 without observations.

    Notes
    -----
    Source: Boudoukh, Richardson, Whitelaw, "The Best of Both Worlds", Risk 11 (1998).
    """
    outcome, weight = np.empty(pnl.shape[1]), np.empty(pnl.shape[1])
    for p in range(pnl.shape[0]):
        n: Count = np.int64(0)
        total, latest = 0.0, 1.0
        for t in range(pnl.shape[1] - 1, -1, -1):
            if not np.isnan(pnl[p, t]):
                outcome[n], weight[n] = pnl[p, t], latest
                total += latest
                latest *= decay
                n += 1
        out[p] = 0.0 - _reached(outcome, weight, n, n_tail[p] * (total / n)) if n > 0 else 0.0


@kernel
def volatility_ratio(pnl: Float2D, decay: float, out: Float2D) -> None:
    """The ratio of current volatility to that of each outcome, s_(n+1) / s_t.

    Parameters
    ----------
    pnl : (P, T), as of `ewma_volatility`
    decay : 0 < decay < 1
        s_(t+1)^2 = decay s_t^2 + (1 - decay) p_t^2, so that s_t is forecast before its outcome is
        seen. The first variance is the mean square of all observed outcomes.
    out : (P, T), no unit
        Receives NaN for a missing outcome, and if s_t = 0, unless the outcome is 0 as well: then 0.

    Notes
    -----
    Source: Hull, White, "Incorporating volatility updating into the historical simulation method
    for value-at-risk", Journal of Risk 1 (1998).
    """
    for p in range(pnl.shape[0]):
        n, variance = 0, 0.0
        for t in range(pnl.shape[1]):
            if not np.isnan(pnl[p, t]):
                n += 1
                variance += pnl[p, t] * pnl[p, t]
        variance = variance / n if n > 0 else 0.0
        for t in range(pnl.shape[1]):
            out[p, t] = np.sqrt(variance)
            if not np.isnan(pnl[p, t]):
                variance = decay * variance + (1.0 - decay) * (pnl[p, t] * pnl[p, t])
        now = np.sqrt(variance)
        for t in range(pnl.shape[1]):
            if np.isnan(pnl[p, t]):
                out[p, t] = np.nan
            elif out[p, t] > 0.0:
                out[p, t] = now / out[p, t]
            else:
                out[p, t] = 0.0 if pnl[p, t] == 0.0 else np.nan


@part
def _reached(outcome: Float1D, weight: Float1D, n: Count, needed: float) -> float:
    """Return the outcome at which weights from the smallest on reach `needed`; reorder both arrays.

    Quickselect: neither side is sorted.
    """
    start: Count = 0
    stop = n
    while True:
        pivot = median(outcome[start], outcome[(start + stop) // 2], outcome[stop - 1])
        less, i, more = start, start, stop
        below, equal = 0.0, 0.0
        while i < more:
            x, w = outcome[i], weight[i]
            if x < pivot:
                below += w
                outcome[i], weight[i] = outcome[less], weight[less]
                outcome[less], weight[less] = x, w
                less += 1
                i += 1
            elif x > pivot:
                more -= 1
                outcome[i], weight[i] = outcome[more], weight[more]
                outcome[more], weight[more] = x, w
            else:
                equal += w
                i += 1
        if needed <= below:
            stop = less
        elif needed <= below + equal or more == stop:
            return pivot
        else:
            needed -= below + equal
            start = more
