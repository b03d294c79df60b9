"""A covariance that was supplied, made one that returns can have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: an eigenvalue this far below 0, as a share of the largest, is rounding
_ROUNDING = 1e-12
#: a larger repair makes another market of it
_LARGEST_REPAIR = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class GivenCovariance:
    """`matrix` (n, n), per day, without eigenvalues below 0 but for rounding.

    `repair` is how far it was moved for that, as a share of its Frobenius norm.
    """

    matrix: FloatArray
    repair: float

    @property
    def is_refused(self) -> bool:
        """Whether it was moved so far that no number stands on it."""
        return self.repair > _LARGEST_REPAIR

    @classmethod
    def of(cls, covariance: FloatArray) -> GivenCovariance:
        """Repair `covariance` (n, n), symmetric, where it has eigenvalues below 0.

        Those are cut off, and rows and columns scaled back to the standard deviations that they
        had. Source: Rebonato, Jäckel, "The most general methodology to create a valid correlation
        matrix for risk management and option pricing purposes", Journal of Risk 2 (1999).
        """
        size = float(np.abs(covariance).max(initial=0.0))
        if size == 0.0:
            return cls(np.array(covariance, order="C"), 0.0)
        scaled = covariance / size
        scaled = 0.5 * scaled + 0.5 * scaled.T
        eigenvalues, vectors = np.linalg.eigh(scaled)
        if eigenvalues[0] >= -_ROUNDING * eigenvalues[-1]:
            return cls(np.array(covariance, order="C"), 0.0)
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        length = np.sqrt((root * root).sum(axis=1))
        deviation = np.sqrt(scaled.diagonal())
        root *= (deviation / np.where(length > 0.0, length, 1.0))[:, None]
        repaired = root @ root.T
        np.fill_diagonal(repaired, scaled.diagonal())
        moved = float(np.linalg.norm(scaled - repaired) / np.linalg.norm(scaled))
        return cls(repaired * size, moved)
