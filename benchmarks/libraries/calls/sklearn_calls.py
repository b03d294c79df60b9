"""scikit-learn: covariances of the positions."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from benchmarks.libraries.books import Book

LIBRARY = "scikit-learn"


def _volatility(book: Book) -> float:
    n = len(book.returns)
    return _deviation(book, EmpiricalCovariance(store_precision=False)) * np.sqrt(n / (n - 1))


def _deviation(book: Book, model: EmpiricalCovariance) -> float:
    return np.sqrt(book.weights @ model.fit(book.returns).covariance_ @ book.weights)


CALLS = {
    "EmpiricalCovariance": _volatility,
    "LedoitWolf": lambda book: _deviation(book, LedoitWolf(store_precision=False)),
}

OF_COLUMNS: tuple[str, ...] = ()
