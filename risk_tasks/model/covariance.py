"""What a covariance has to be before a market holds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import InvalidMarketError

FloatArray2D = npt.NDArray[np.float64]

#: how far two entries that mirror each other may differ, as a share of the larger
_ASYMMETRY = 1e-12


def check_covariance(covariance: FloatArray2D, instruments: Sequence[str]) -> None:
    """Refuse what is no covariance of one-day returns of these instruments, by its field.

    Eigenvalues below 0 are no reason: a worker repairs them and says so.
    """
    n = len(instruments)
    if covariance.shape != (n, n):
        raise InvalidMarketError(
            f"{n} instruments, but a covariance of shape {covariance.shape}.", field="covariance"
        )
    finite = np.isfinite(covariance)
    if not finite.all():
        name = instruments[int(np.argmin(finite.all(axis=1)))]
        raise InvalidMarketError("A covariance is not finite.", field=f"covariance[{name!r}]")
    negative = covariance.diagonal() < 0.0
    if negative.any():
        name = instruments[int(np.argmax(negative))]
        raise InvalidMarketError("A variance is below 0.", field=f"covariance[{name!r}]")
    largest = np.maximum(np.abs(covariance), np.abs(covariance.T))
    # By halves, since the difference of two finite numbers need not be finite.
    uneven = np.abs(0.5 * covariance - 0.5 * covariance.T) > 0.5 * _ASYMMETRY * largest
    if uneven.any():
        row, column = map(int, np.argwhere(uneven)[0])
        raise InvalidMarketError(
            f"The covariances of {instruments[row]} and {instruments[column]} differ.",
            field=f"covariance[{instruments[row]!r}]",
            remedy="Give a symmetric matrix: the mean of it and its transpose.",
        )
