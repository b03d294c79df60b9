"""Losses under named stress scenarios."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Float1D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]


@kernel
def stress_loss(
    offsets: Int1D,
    instrument: Int1D,
    value: Float1D,
    shock: Float1D,
    named: npt.NDArray[np.bool_],
    out: Float1D,
    n_named: Int1D,
) -> None:
    """Loss under one scenario of relative shocks, -sum of V_i s_i.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,)
    value : (N,), base currency
    shock : (n,), fraction
        The price change of each instrument; NaN where the scenario refuses to say.
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
            if value[j] != 0.0:
                loss -= value[j] * shock[instrument[j]]
                if named[instrument[j]]:
                    count += 1
        out[p] = loss
        n_named[p] = count
