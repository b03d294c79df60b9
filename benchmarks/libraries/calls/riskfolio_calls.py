"""Riskfolio-Lib: functions of the returns of one portfolio, of its weights, of both."""

from __future__ import annotations

import numpy as np
import pandas as pd
from riskfolio.src import ParamsEstimation, RiskFunctions
from scipy.special import ndtri

from benchmarks.libraries.books import Book, FloatArray
from benchmarks.libraries.defaults import DECAY

LIBRARY = "riskfolio-lib"


def _volatility(book: Book) -> float:
    return RiskFunctions.Sharpe_Risk(book.returns, w=book.weights, cov=_cov(book), rm="MV")


def _cov(book: Book) -> FloatArray:
    return np.cov(book.returns, rowvar=False)


def _ewma(book: Book) -> float:
    frame = pd.DataFrame({"book": book.pnl})
    return np.sqrt(ParamsEstimation.covar_matrix(frame, method="ewma1", d=DECAY).to_numpy()[0, 0])


def _parts(book: Book, measure: str) -> FloatArray:
    return RiskFunctions.Risk_Contribution(
        book.weights, book.returns, cov=_cov(book), rm=measure, alpha=book.level.alpha
    )


CALLS = {
    "Sharpe_Risk, MV": _volatility,
    "SemiDeviation": lambda book: RiskFunctions.SemiDeviation(book.pnl),
    "VaR_Hist": lambda book: RiskFunctions.VaR_Hist(book.pnl, book.level.alpha),
    "CVaR_Hist": lambda book: RiskFunctions.CVaR_Hist(book.pnl, book.level.alpha),
    "NEA": lambda book: 1 / RiskFunctions.NEA(book.weights / np.abs(book.weights).sum()),
    "covar_matrix, ewma1": _ewma,
    "Risk_Contribution, MV": lambda book: ndtri(book.level.confidence) * _parts(book, "MV"),
    "Risk_Contribution, CVaR": lambda book: _parts(book, "CVaR"),
}

OF_COLUMNS: tuple[str, ...] = ()
