"""Sample covariances of what a portfolio holds: factored for random paths, or shrunk."""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import Float1D, Float2D, Int1D, kernel, part
from risk_tasks.kernels.parts import dot, sum_of

#: a remaining variance below this, relative and per position, is rounding
_ROUNDING = 16 * 2.0**-52
#: below this remaining variance, relative, the decomposition of a covariance has lost digits
_ACCURATE = 2.0**-16


@kernel
def loadings(
    offsets: Int1D,
    instrument: Int1D,
    value: Float1D,
    panel: Float2D,
    covariance: Float2D,
    out: Float1D,
    spread: Float1D,
) -> None:
    """The w = L'V of each portfolio, so that w'z has the variance of its one-day P&L, V' Cov V.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
        Rows of `panel`, each once in a portfolio. L depends on their order; the distribution of
        the P&L does not.
    value : (N,), base currency, not 0
    panel : (n, T), fraction
        Returns by instrument. NaN is a missing return: portfolios with the instrument ignore the
        observation. The covariance has n - 1 in the denominator; 0 if n < 2.
    covariance : (n, n), per day
        Used instead of `panel` unless empty.
    out : (N,), base currency
        Receives w.
    spread : (P,), base currency
        Receives |w|, the standard deviation of the P&L; not finite if the covariance is not.

    Notes
    -----
    Source: Glasserman, Monte Carlo Methods in Financial Engineering (2003), 2.3.3.
    """
    for p in range(offsets.size - 1):
        start, stop = offsets[p], offsets[p + 1]
        lower = np.zeros((stop - start, stop - start))
        unit = _factor(instrument[start:stop], value[start:stop], panel, covariance, lower)
        squares = 0.0
        for j in range(stop - start):
            w = 0.0
            for i in range(j, stop - start):
                w += lower[i, j] if value[start + i] > 0.0 else -lower[i, j]
            out[start + j] = unit * w
            squares += w * w
        spread[p] = unit * np.sqrt(squares)


@kernel
def lower_factor(
    instrument: Int1D, value: Float1D, panel: Float2D, covariance: Float2D, out: Float2D
) -> None:
    """The L of `loadings` for one portfolio, L L' = Cov of |V_i| r_i.

    Parameters
    ----------
    instrument : (N,)
    value : (N,), base currency, not 0
    panel : (n, T), fraction
    covariance : (n, n), per day, or empty
    out : (N, N), base currency, zeros
        Receives L, lower triangular. An instrument that earlier ones explain up to rounding has a
        column of zeros.
    """
    unit = _factor(instrument, value, panel, covariance, out)
    for i in range(value.size):
        for j in range(i + 1):
            out[i, j] *= unit


@part
def _factor(
    instrument: Int1D, value: Float1D, panel: Float2D, covariance: Float2D, out: Float2D
) -> float:
    """Write L in units of the largest position, against overflow; return that unit."""
    unit = 0.0
    for i in range(value.size):
        unit = max(unit, abs(value[i]))
    size = np.empty(value.size)
    for i in range(value.size):
        size[i] = abs(value[i]) / unit
    if covariance.size > 0:
        for i in range(value.size):
            for j in range(i + 1):
                a, b = instrument[i], instrument[j]
                both = 0.5 * covariance[a, b] + 0.5 * covariance[b, a]
                out[i, j] = size[i] * both * size[j]
    else:
        legs = np.empty((value.size, panel.shape[1]))
        n = _departures(instrument, size, panel, legs)
        for i in range(value.size):
            for j in range(i + 1):
                out[i, j] = dot(legs[i], legs[j], n) / (n - 1) if n > 1 else 0.0
        variance = np.empty(value.size)
        for i in range(value.size):
            variance[i] = out[i, i]
        _decompose(out)
        if _has_lost_digits(out, variance):
            _orthogonalise(instrument, size, panel, legs, n, out)
        return unit
    _decompose(out)
    return unit


@part
def _has_lost_digits(lower: Float2D, variance: Float1D) -> bool:
    """Whether an instrument is nearly explained by earlier ones, as with few observations."""
    lost = False
    for j in range(variance.size):
        lost = lost or lower[j, j] * lower[j, j] < _ACCURATE * variance[j]
    return lost


@part
def _largest(returns: Float1D) -> float:
    """Return the largest |r|; a missing return compares false."""
    largest = 0.0
    for t in range(returns.size):
        largest = max(largest, abs(returns[t]))
    return largest


@part
def _orthogonalise(
    instrument: Int1D, size: Float1D, panel: Float2D, legs: Float2D, n: int, out: Float2D
) -> None:
    """Write L from the deviations (N, n) themselves, without their covariance.

    Rounding of a covariance changes a pivot as much as a variance; here it changes only the root.
    `legs` becomes orthonormal: the Gram-Schmidt process, each leg in two passes. Deviations of n
    observations span n - 1 dimensions at most. Source: Giraud, Langou, Rozloznik, "The loss of
    orthogonality in the Gram-Schmidt orthogonalization process", Computers and Mathematics with
    Applications 50 (2005).
    """
    m = size.size
    rank = 0
    scale = np.sqrt(n - 1.0)
    for i in range(m):
        for j in range(m):
            out[i, j] = 0.0
        largest = size[i] * _largest(panel[instrument[i]])
        for _ in range(2):
            for j in range(i):
                if out[j, j] > 0.0:
                    along = dot(legs[i], legs[j], n)
                    out[i, j] += along / scale
                    for t in range(n):
                        legs[i, t] -= along * legs[j, t]
        length = np.sqrt(dot(legs[i], legs[i], n))
        if rank < n - 1 and length > m * _ROUNDING * largest * np.sqrt(1.0 * n):
            rank += 1
            out[i, i] = length / scale
            for t in range(n):
                legs[i, t] /= length


@part
def _departures(instrument: Int1D, size: Float1D, panel: Float2D, out: Float2D) -> int:
    """Write the deviations of size_i r_i over complete observations; return their number."""
    n: int = panel.shape[1]
    total = 0.0
    for i in range(size.size):
        returns = panel[instrument[i]]
        for t in range(n):
            out[i, t] = size[i] * returns[t]
        total += sum_of(out[i], n)
    if np.isnan(total):
        n = _drop_incomplete(out)
    for i in range(size.size):
        mean = sum_of(out[i], n) / n if n > 0 else 0.0
        for t in range(n):
            out[i, t] -= mean
    return n


@part
def _drop_incomplete(legs: Float2D) -> int:
    """Move complete observations to the front; return their number."""
    n = 0
    for t in range(legs.shape[1]):
        complete = True
        for i in range(legs.shape[0]):
            complete = complete and not np.isnan(legs[i, t])
            legs[i, n] = legs[i, t]
        n += 1 if complete else 0
    return n


@part
def _decompose(matrix: Float2D) -> None:
    """Cholesky decomposition in place, in the lower triangle; all NaN if an entry is not finite."""
    n = matrix.shape[0]
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            total += abs(matrix[i, j])
    if not np.isfinite(total):
        for i in range(n):
            for j in range(n):
                matrix[i, j] = np.nan
        return
    for j in range(n):
        rest = matrix[j, j]
        for k in range(j):
            rest -= matrix[j, k] * matrix[j, k]
        root = np.sqrt(rest) if rest > n * _ROUNDING * matrix[j, j] else 0.0
        matrix[j, j] = root
        for i in range(j + 1, n):
            shared = matrix[i, j]
            for k in range(j):
                shared -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = shared / root if root > 0.0 else 0.0


@kernel
def ledoit_wolf(
    offsets: Int1D, instrument: Int1D, value: Float1D, panel: Float2D, out: Float2D
) -> None:
    """Volatility of each portfolio, by the covariance of its instruments shrunk towards mu I.

    S* = (1 - s) S + s mu I, S the covariance with n in the denominator over the n observations in
    which every held instrument has a return, mu the mean of its diagonal, and s = min(b, d) / d
    with d = |S - mu I|^2 and b = sum over t of |x_t x_t' - S|^2 / n^2, |.| the root of the sum of
    squares, x_t the deviations of the returns of an observation.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
        Rows of `panel`, each at most once in a portfolio; their order is that of the sums.
    value : (N,), base currency, not 0
    panel : (n, T), fraction
        Returns by instrument; NaN is a missing return.
    out : (P, 3)
        Receives the volatility sqrt(V' S* V) in base currency, s in 0 to 1, and mu, a squared
        fraction. Zeros if nothing is held or observed, or no return varies.

    Notes
    -----
    Returns are divided by the largest deviation, and values by the largest value, before they are
    raised to a power. Source: Ledoit, Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", Journal of Multivariate Analysis 88 (2004).
    """
    for p in range(offsets.size - 1):
        start, m = offsets[p], offsets[p + 1] - offsets[p]
        x = np.empty((m, panel.shape[1]))
        n = _departures(instrument[start : start + m], np.ones(m), panel, x)
        largest, most = 0.0, 0.0
        for i in range(m):
            most = max(most, abs(value[start + i]))
            for t in range(n):
                largest = max(largest, abs(x[i, t]))
        out[p, 0], out[p, 1], out[p, 2] = 0.0, 0.0, 0.0
        if largest == 0.0:
            continue
        for i in range(m):
            for t in range(n):
                x[i, t] /= largest
        mu, shrinkage = _shrinkage(x, n)
        pnl = np.zeros(n)
        squares = 0.0
        for i in range(m):
            share = value[start + i] / most
            squares += share * share
            for t in range(n):
                pnl[t] += share * x[i, t]
        variance = (1.0 - shrinkage) * (dot(pnl, pnl, n) / n) + shrinkage * mu * squares
        out[p, 0] = largest * most * np.sqrt(variance)
        out[p, 1] = shrinkage
        out[p, 2] = mu * largest * largest


@part
def _shrinkage(x: Float2D, n: int) -> tuple[float, float]:
    """Return mu and s of the deviations (m, n) by row."""
    m = x.shape[0]
    diagonal = np.empty(m)
    norm = np.zeros(n)
    for i in range(m):
        diagonal[i] = dot(x[i], x[i], n) / n
        for t in range(n):
            norm[t] += x[i, t] * x[i, t]
    trace, beyond = 0.0, 0.0
    for i in range(m):
        trace += diagonal[i]
    mu = trace / m
    for i in range(m):
        for j in range(i):
            covariance = dot(x[i], x[j], n) / n
            beyond += 2.0 * covariance * covariance
    around, squares = 0.0, 0.0
    for i in range(m):
        around += (diagonal[i] - mu) ** 2
        squares += diagonal[i] ** 2
    distance = beyond + around
    spread = max(0.0, dot(norm, norm, n) / n - (beyond + squares)) / n
    return mu, min(spread, distance) / distance if distance > 0.0 else 0.0
