"""empyrical-reloaded: functions of the returns of one portfolio; some take columns."""

from __future__ import annotations

import empyrical
import numpy as np

from benchmarks.libraries.books import FloatArray

LIBRARY = "empyrical-reloaded"


def _downside(pnl: FloatArray) -> FloatArray:
    n = len(pnl)
    risk = empyrical.downside_risk(pnl, required_return=pnl.mean(axis=0), annualization=1)
    return risk * np.sqrt(n / (n - 1))


CALLS = {
    "annual_volatility": lambda book: empyrical.annual_volatility(book.pnl, annualization=1),
    "downside_risk": lambda book: _downside(book.pnl),
    "value_at_risk": lambda book: -empyrical.value_at_risk(book.pnl, book.level.alpha),
    "conditional_value_at_risk": lambda book: (
        -empyrical.conditional_value_at_risk(book.pnl, book.level.alpha)
    ),
    "beta_aligned": lambda book: empyrical.beta_aligned(book.pnl, book.index),
}

OF_COLUMNS = ("annual_volatility", "downside_risk", "beta_aligned")
