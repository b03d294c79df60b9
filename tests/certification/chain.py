"""One function for each kernel, with the ranks of the model, as the engine calls them."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np
import numpy.typing as npt

from risk_tasks.kernels import history
from risk_tasks.model.measures import (
    VarConvention,
    parse_confidence,
    tail_probability,
    tail_rank,
    var_position,
)

Outcomes = Sequence[float] | npt.NDArray[np.float64]


def row_of(pnl: Outcomes) -> npt.NDArray[np.float64]:
    """Return one row of outcomes; None is a missing one."""
    return np.array(pnl, dtype=np.float64).reshape(1, -1)


def n_observed(pnl: Outcomes) -> int:
    """Return the number of observations, as the kernel counts them."""
    return dispersion(pnl)[0]


def value_at_risk(
    pnl: Outcomes,
    confidence: str | float,
    convention: VarConvention = VarConvention.CONSERVATIVE,
) -> float:
    """Return the VaR of one row of P&L."""
    position = var_position(n_observed(pnl), parse_confidence(confidence), convention)
    rank, out = floor(position), np.empty(1)
    kept = outcomes(pnl, rank + 2)[0]
    history.value_at_risk(
        kept, np.array([rank], dtype=np.int64), np.array([float(position - rank)]), out
    )
    return float(out[0])


def expected_shortfall(pnl: Outcomes, confidence: str | float) -> float:
    """Return the ES of one row of P&L."""
    text, n = parse_confidence(confidence), n_observed(pnl)
    rank, out = tail_rank(n, text), np.empty(1)
    kept = outcomes(pnl, rank)[0]
    n_tail = np.array([float(n * tail_probability(text))])
    history.expected_shortfall(kept, np.array([rank], dtype=np.int64), n_tail, out)
    return float(out[0])


def dispersion(pnl: Outcomes) -> tuple[int, float]:
    """Return the number of observations and the standard deviation of one row of P&L."""
    _, count, deviation = outcomes(pnl, 1)
    return count, deviation


def outcomes(pnl: Outcomes, n_worst: int) -> tuple[npt.NDArray[np.float64], int, float]:
    """Return the worst of one row of P&L, the number of outcomes and their standard deviation."""
    row = row_of(pnl)
    worst: npt.NDArray[np.float64] = np.empty((1, n_worst))
    count, deviation = np.empty(1, dtype=np.int64), np.empty(1)
    one = np.array([0, 1], dtype=np.int64)
    history.outcomes(one, one[:1], np.ones(1), row, 1.0, worst, count, deviation)
    return worst, int(count[0]), float(deviation[0])


def profit_and_loss(value: Outcomes, panel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the P&L of one portfolio that holds every row of `panel` (n, T)."""
    values = np.array(value, dtype=np.float64)
    out: npt.NDArray[np.float64] = np.empty((1, panel.shape[1]))
    history.profit_and_loss(
        np.array([0, values.size], dtype=np.int64),
        np.arange(values.size, dtype=np.int64),
        values,
        np.ascontiguousarray(panel),
        out,
    )
    return out.ravel()
