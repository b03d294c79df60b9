"""Returns between the dates on which a portfolio is computed."""

from __future__ import annotations

import numpy as np

from risk_tasks.kernels.jit import Float2D, Int1D, kernel


@kernel
def spanning_returns(
    panel: Float2D, instrument: Int1D, first: Int1D, after: Int1D, until: Int1D, out: Float2D
) -> None:
    """Returns of instruments between dates, compounded from the returns within.

    Parameters
    ----------
    panel : (n, T), fraction
        Returns by instrument; NaN where the instrument did not trade.
    instrument : (m,)
        Rows of `panel`.
    first : (n,), -1 <= first < T
        Column of the first price of each instrument; -1 if it is before all columns.
    after, until : (K,), -1 <= after < until < T
        Columns at which the returns start and end.
    out : (m, K), fraction
        Receives prod(1 + r) - 1 over the columns after `after` up to `until`; if there is only one
        return, that return with the same bits. NaN if there is none, or if the first price is later
        than `after`.
    """
    for j in range(instrument.size):
        i = instrument[j]
        for k in range(until.size):
            n, last, grown = 0, np.nan, 1.0
            if after[k] >= first[i]:
                for t in range(after[k] + 1, until[k] + 1):
                    if not np.isnan(panel[i, t]):
                        n += 1
                        last = panel[i, t]
                        grown *= 1.0 + last
            out[j, k] = last if n < 2 else grown - 1.0
