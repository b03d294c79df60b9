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
    No sum depends on the order of positions: each is a sum in two levels, rounded once, and off by
    less than 2^-68 of the largest position for each position. With an infinite value they are NaN.
    """
    for p in range(offsets.size - 1):
        held = value[offsets[p] : offsets[p + 1]]
        largest = 0.0
        for v in held:
            largest = max(largest, abs(v))
        if largest == 0.0:
            out[p] = 0.0
            continue
        unit = 1.0
        if largest < 1e-280:  # the scale would overflow
            held, largest, unit = held * 2.0**600, largest * 2.0**600, 2.0**-600
        scale, back = scales(largest)
        back *= unit
        net, net_rest, gross, gross_rest = two_levels(held, scale)
        out[p, 0] = (net + net_rest) * back
        out[p, 1] = 0.5 * ((gross + net) + (gross_rest + net_rest)) * back
        out[p, 2] = 0.5 * ((gross - net) + (gross_rest - net_rest)) * back
        out[p, 3] = (gross + gross_rest) * back


@part(reorders=True)
def two_levels(value: Float1D, scale: float) -> tuple[float, float, float, float]:
    """Sums of V and of |V|, each in two levels that add up without rounding in any order.

    |V| `scale` is below 2. The first level has its multiples of 2^-34, the second those of 2^-69 in
    the rest: sums of 2^18 of them are exact, so that vector lanes change no bit. Source: Demmel,
    Nguyen, "Fast reproducible floating-point summation", ARITH 21 (2013).
    """
    net, net_rest, gross, gross_rest = 0.0, 0.0, 0.0, 0.0
    for j in range(value.size):
        size = abs(value[j]) * scale * 2.0**34
        coarse = np.floor(size)
        fine = np.floor((size - coarse) * 2.0**35)
        # Without a branch: the signs of positions cannot be predicted.
        sign = np.copysign(1.0, value[j])
        net += sign * coarse
        net_rest += sign * fine
        gross += coarse
        gross_rest += fine
    return net * 2.0**-34, net_rest * 2.0**-69, gross * 2.0**-34, gross_rest * 2.0**-69


@part
def scales(largest: float) -> tuple[float, float]:
    """Return a power of two that brings numbers up to `largest` below 2, and its inverse."""
    bound = min(largest, 8e307)
    back = (np.nextafter(bound, np.inf) - bound) * 2.0**53
    return 1.0 / back, back


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
    Source: Hirschman, "The Paternity of an Index", American Economic Review 54 (1964).
    """
    for p in range(offsets.size - 1):
        largest = 0.0
        squares = 0.0
        if gross[p] > 0.0:
            for j in range(offsets[p], offsets[p + 1]):
                share = abs(value[j]) / gross[p]
                squares += share * share
                largest = max(largest, share)
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
