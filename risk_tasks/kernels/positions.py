"""Sums over the positions of each portfolio, and checks of positions."""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import (
    Bool1D,
    Float1D,
    Float2D,
    Int1D,
    ReadOnlyCode1D,
    ReadOnlyFloat1D,
    kernel,
    part,
)
from risk_tasks.kernels.parts import exact_sum, is_rounded, two_sum


@kernel
def exposure(offsets: Int1D, value: Float1D, out: Float2D) -> None:
    """Market value, long, short and gross exposure of each portfolio.

    Parameters
    ----------
    offsets : (P + 1,)
        Index of the first position of each portfolio.
    value : (N,), base currency
        Signed values of positions, long positive.
    out : (P, 4), base currency
        Receives the sum of V; L = sum of max(V, 0) >= 0; S = sum of max(-V, 0) >= 0; L + S.
        An empty portfolio has zeros.

    Notes
    -----
    Each is the exact sum rounded once, so that it does not depend on the order of positions. If
    L + S overflows, the others are plain sums.
    """
    for p in range(offsets.size - 1):
        long, long_rest = 0.0, 0.0
        short, short_rest = 0.0, 0.0
        for j in range(offsets[p], offsets[p + 1]):
            # Without a branch: the signs of positions cannot be predicted.
            long, low = two_sum(long, max(0.0, value[j]))
            long_rest += low
            short, low = two_sum(short, max(0.0, -value[j]))
            short_rest += low
        if not np.isfinite(long + short):
            out[p, 0], out[p, 1], out[p, 2], out[p, 3] = long - short, long, short, long + short
            continue
        held = value[offsets[p] : offsets[p + 1]]
        net, low = two_sum(long, -short)
        out[p, 0] = _rounded(net, low + (long_rest - short_rest), held, 1.0, -1.0, long + short)
        out[p, 1] = _rounded(long, long_rest, held, 1.0, 0.0, long)
        out[p, 2] = _rounded(short, short_rest, held, 0.0, 1.0, short)
        gross, low = two_sum(long, short)
        out[p, 3] = _rounded(gross, low + (long_rest + short_rest), held, 1.0, 1.0, gross)


@part
def _rounded(
    total: float, rest: float, value: Float1D, of_long: float, of_short: float, size: float
) -> float:
    """Return the sum of `of_long` max(V, 0) + `of_short` max(-V, 0), rounded once.

    It is about `total` + `rest`; `size` is the sum of absolute values.
    """
    total, rest = two_sum(total, rest)
    if is_rounded(total, rest, value.size, size):
        return total + 0.0
    terms = np.empty(value.size)
    for j in range(value.size):
        terms[j] = of_long * max(0.0, value[j]) + of_short * max(0.0, -value[j])
    return exact_sum(terms, value.size)


@kernel
def concentration(offsets: Int1D, value: Float1D, gross: Float1D, out: Float2D) -> None:
    """Largest share of gross exposure, and the Herfindahl-Hirschman index of all shares.

    Parameters
    ----------
    offsets : (P + 1,)
    value : (N,), base currency
        Signed values; each instrument at most once in a portfolio.
    gross : (P,), base currency
        L + S of each portfolio.
    out : (P, 2), fraction
        Receives max s and the sum of s^2, s = |V| / gross. Zeros where gross is 0.

    Notes
    -----
    The sum of squares is rounded once. Source: Hirschman, "The Paternity of an Index", American
    Economic Review 54 (1964).
    """
    for p in range(offsets.size - 1):
        largest = 0.0
        squares, rest = 0.0, 0.0
        n = offsets[p + 1] - offsets[p]
        if gross[p] > 0.0:
            for j in range(offsets[p], offsets[p + 1]):
                share = abs(value[j]) / gross[p]
                squares, low = two_sum(squares, share * share)
                rest += low
                largest = max(largest, share)
        squares, rest = two_sum(squares, rest)
        if not is_rounded(squares, rest, n, squares):
            terms = np.empty(n)
            for i in range(n):
                share = abs(value[offsets[p] + i]) / gross[p]
                terms[i] = share * share
            squares = exact_sum(terms, n)
        out[p, 0] = largest
        out[p, 1] = squares


@kernel
def stress_loss(
    offsets: Int1D,
    instrument: Int1D,
    size: Float1D,
    change: Float1D,
    named: Bool1D,
    out: Float1D,
    n_named: Int1D,
) -> None:
    """Loss under one scenario, -sum of V_i s_i, or of q_i m_i where the change is absolute.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
    size : (N,)
        The value in base currency, or the quantity if the change is absolute.
    change : (n,)
        Of each instrument: a fraction, or base currency per unit; NaN if it has no change.
    named : (n,)
        Whether the scenario names the instrument itself.
    out : (P,), base currency, loss positive
        Receives NaN if a held instrument has no change.
    n_named : (P,)
        Receives the number of held instruments that the scenario names.
    """
    for p in range(offsets.size - 1):
        loss = 0.0
        count = 0
        for j in range(offsets[p], offsets[p + 1]):
            if size[j] != 0.0:
                loss -= size[j] * change[instrument[j]]
                if named[instrument[j]]:
                    count += 1
        out[p] = loss
        n_named[p] = count


@kernel
def coverage(
    offsets: Int1D,
    instrument: Int1D,
    value: Float1D,
    covered: Bool1D,
    out: Float1D,
    n_uncovered: Int1D,
) -> None:
    """Share of gross exposure in covered instruments: their sum of |V_i| over that of all.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
    value : (N,), base currency
    covered : (n,)
    out : (P,), fraction
        Receives exactly 1 if every held instrument is covered, or nothing is held.
    n_uncovered : (P,)
        Receives how many held instruments are not covered.
    """
    for p in range(offsets.size - 1):
        total = 0.0
        known = 0.0
        count = 0
        for j in range(offsets[p], offsets[p + 1]):
            if value[j] != 0.0:
                total += abs(value[j])
                if covered[instrument[j]]:
                    known += abs(value[j])
                else:
                    count += 1
        out[p] = known / total if count > 0 else 1.0
        n_uncovered[p] = count


@kernel
def repeated_position(offsets: Int1D, instrument: Int1D, n_instruments: int, out: Int1D) -> None:
    """The first position of each portfolio that repeats the instrument of an earlier position.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,), 0 <= instrument < n_instruments
    out : (P,)
        Receives the position's index in the flat arrays, or -1.

    Notes
    -----
    One pass; `last[i]` is the portfolio that held instrument i last.
    """
    last = np.empty(n_instruments, dtype=np.int64)
    for i in range(n_instruments):
        last[i] = -1
    for p in range(offsets.size - 1):
        out[p] = -1
        for j in range(offsets[p], offsets[p + 1]):
            if last[instrument[j]] == p and out[p] < 0:
                out[p] = j
            last[instrument[j]] = p


@kernel
def locate(
    offsets: Int1D,
    code: ReadOnlyCode1D,
    known: Int1D,
    n_instruments: int,
    quantity: ReadOnlyFloat1D,
    out: Int1D,
    n_invalid: Int1D,
) -> None:
    """The instrument of each position, and the number of invalid positions.

    Parameters
    ----------
    offsets : (P + 1,)
    code : (N,)
        Indices into `known`; negative for no instrument.
    known : (K,)
        Rows of the market, below `n_instruments`, negative for an unknown instrument; two names
        may have the same row.
    quantity : (N,)
    out : (N,)
        Receives rows of the market, negative for none.
    n_invalid : (1,)
        Receives the number of positions whose instrument is unknown, whose quantity is not finite,
        or whose instrument an earlier position of the portfolio has.
    """
    last = np.empty(n_instruments, dtype=np.int64)
    for i in range(n_instruments):
        last[i] = -1
    count = 0
    for p in range(offsets.size - 1):
        for j in range(offsets[p], offsets[p + 1]):
            row = known[code[j]] if code[j] >= 0 else -1
            out[j] = row
            if row < 0 or not np.isfinite(quantity[j]) or last[row] == p:
                count += 1
            if row >= 0:
                last[row] = p
    n_invalid[0] = count
