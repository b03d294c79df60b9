"""What makes a portfolio of a block unfit to be computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

Code1D = npt.NDArray[np.int32]
Float1D = npt.NDArray[np.float64]
Int1D = npt.NDArray[np.int64]


@kernel
def repeated_position(offsets: Int1D, instrument: Int1D, n_instruments: int, out: Int1D) -> None:
    """The first position of each portfolio whose instrument stood in it before.

    Parameters
    ----------
    offsets : (P + 1,)
    instrument : (N,), 0 <= instrument < n_instruments
    out : (P,)
        Receives the position's place in the flat arrays, or -1.

    Notes
    -----
    One pass; `last[i]` is the portfolio that held instrument i last.
    """
    last = np.full(n_instruments, -1, dtype=np.int64)
    for p in range(offsets.size - 1):
        out[p] = -1
        for j in range(offsets[p], offsets[p + 1]):
            if last[instrument[j]] == p and out[p] < 0:
                out[p] = j
            last[instrument[j]] = p


@kernel
def locate(
    offsets: Int1D,
    code: Code1D,
    known: Int1D,
    n_instruments: int,
    quantity: Float1D,
    out: Int1D,
    unfit: Int1D,
) -> None:
    """The instrument of each position, and how many positions there are that cannot be computed.

    Parameters
    ----------
    offsets : (P + 1,)
    code : (N,)
        Places in `known`; negative for no instrument.
    known : (K,)
        Rows of the market, below `n_instruments`, negative for what it does not hold; two names
        may stand for the same row.
    quantity : (N,)
    out : (N,)
        Receives rows of the market, negative for none.
    unfit : (1,)
        Receives how many positions name nothing that is known, are not finite, or hold an
        instrument that their portfolio held before.
    """
    last = np.full(n_instruments, -1, dtype=np.int64)
    n_unfit = 0
    for p in range(offsets.size - 1):
        for j in range(offsets[p], offsets[p + 1]):
            row = known[code[j]] if code[j] >= 0 else -1
            out[j] = row
            if row < 0 or not np.isfinite(quantity[j]) or last[row] == p:
                n_unfit += 1
            if row >= 0:
                last[row] = p
    unfit[0] = n_unfit
