"""Losses under named stress scenarios, and how much of a book these tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Float1D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]
Bool1D = npt.NDArray[np.bool_]


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
        What the change is of: the value in base currency, or the quantity.
    change : (n,)
        Of each instrument: a fraction, or base currency per unit; NaN where the scenario refuses
        to say.
    named : (n,)
        Whether the scenario names the instrument itself.
    out : (P,), base currency, loss positive
        Receives NaN where a held instrument has no shock.
    n_named : (P,)
        Receives how many held instruments the scenario names.
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
    """Share of gross exposure in covered instruments, sum of |V_i| of these over sum of |V_i|.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
    value : (N,), base currency
    covered : (n,)
    out : (P,), fraction
        Receives exactly 1 where all that is held is covered, and where nothing is held.
    n_uncovered : (P,)
        Receives how many held instruments are not covered.
    """
    for p in range(offsets.size - 1):
        total = 0.0
        told = 0.0
        count = 0
        for j in range(offsets[p], offsets[p + 1]):
            if value[j] != 0.0:
                total += abs(value[j])
                if covered[instrument[j]]:
                    told += abs(value[j])
                else:
                    count += 1
        out[p] = told / total if count > 0 else 1.0
        n_uncovered[p] = count
