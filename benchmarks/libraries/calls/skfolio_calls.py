"""skfolio: functions of returns, which take many columns at once, and the parts of a portfolio."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri
from skfolio import Portfolio, RiskMeasure, measures
from skfolio.moments import EWCovariance

from benchmarks.libraries.books import Book, FloatArray
from benchmarks.libraries.defaults import AGE_DECAY, DECAY

LIBRARY = "skfolio"


def _ages(n: int) -> FloatArray:
    return AGE_DECAY ** np.arange(n - 1, -1, -1)


def _cornish_fisher(pnl: FloatArray, alpha: float) -> Any:
    """Its moments, used in the expansion of our registry."""
    z = ndtri(alpha)
    skew, excess = measures.skew(pnl), measures.kurtosis(pnl) - 3
    q = z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24
    q = q - (2 * z**3 - 5 * z) * skew**2 / 36
    return -(measures.mean(pnl) + q * measures.standard_deviation(pnl, biased=True))


def _ewma(book: Book) -> float:
    half_life = np.log(0.5) / np.log(DECAY)
    model = EWCovariance(half_life=half_life, min_observations=1, nearest=False)
    return np.sqrt(model.fit(book.pnl[:, None]).covariance_.item())


def _parts(book: Book, measure: RiskMeasure) -> FloatArray:
    portfolio = Portfolio(X=book.returns, weights=book.weights, cvar_beta=book.level.confidence)
    return portfolio.contribution(measure=measure)


CALLS = {
    "measures.standard_deviation": lambda book: measures.standard_deviation(book.pnl),
    "measures.semi_deviation": lambda book: measures.semi_deviation(book.pnl),
    "measures.value_at_risk": lambda book: measures.value_at_risk(book.pnl, book.level.confidence),
    "measures.value_at_risk, sample_weight": lambda book: measures.value_at_risk(
        book.pnl, book.level.confidence, sample_weight=_ages(len(book.pnl))
    ),
    "measures.cvar": lambda book: measures.cvar(book.pnl, book.level.confidence),
    "measures.skew, kurtosis": lambda book: _cornish_fisher(book.pnl, book.level.alpha),
    "measures.effective_number_assets": lambda book: (
        1 / measures.effective_number_assets(book.weights / np.abs(book.weights).sum())
    ),
    "moments.EWCovariance": _ewma,
    "Portfolio.contribution, STANDARD_DEVIATION": lambda book: (
        ndtri(book.level.confidence) * _parts(book, RiskMeasure.STANDARD_DEVIATION)
    ),
    "Portfolio.contribution, CVAR": lambda book: _parts(book, RiskMeasure.CVAR),
}

OF_COLUMNS = (
    "measures.standard_deviation",
    "measures.semi_deviation",
    "measures.value_at_risk",
    "measures.value_at_risk, sample_weight",
    "measures.cvar",
    "measures.skew, kurtosis",
)
