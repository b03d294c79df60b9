"""What makes a portfolio of a block unfit to be computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels.jit import kernel

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
