"""scikit-learn: covariances of what is held."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import EmpiricalCovariance

from benchmarks.libraries.books import Book

LIBRARY = "scikit-learn"


def _volatility(book: Book) -> float:
    n = len(book.returns)
    covariance = EmpiricalCovariance(store_precision=False).fit(book.returns).covariance_
    return np.sqrt(book.weights @ covariance @ book.weights * n / (n - 1))


CALLS = {"EmpiricalCovariance": _volatility}

OF_COLUMNS: tuple[str, ...] = ()
