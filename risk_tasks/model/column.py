"""One measure of all portfolios of a block: values and outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite

import numpy as np
import numpy.typing as npt

from risk_tasks.model.report import MeasureStatus


class Outcome(IntEnum):
    """The outcome of one measure of one portfolio; messages contain its number."""

    OK = 0
    #: a VaR below zero: the portfolio gains even in the tail
    NEGATIVE_VAR = 1
    #: the scenario changes no held instrument
    NO_EXPOSURE = 2
    ZERO_GROSS = 3
    NAV_UNKNOWN = 4
    NAV_NOT_POSITIVE = 5
    NOT_IN_SCENARIO = 6
    UNKNOWN_SCENARIO = 7
    WINDOW_TOO_SHORT = 8
    NOT_FINITE = 9
    #: the portfolio has an error, and nothing was computed
    NOT_COMPUTED = 10
    UNKNOWN_INSTRUMENT = 11
    #: an instrument that is not held has no return where the portfolio has one
    MISSING_RETURNS = 12
    #: the reference instrument of the beta has constant returns
    NO_VARIANCE = 13
    #: skewness or kurtosis is outside the domain of the expansion; the value is the normal one
    OUTSIDE_DOMAIN = 14
    #: the window is too short for one bound of the interval
    OPEN_ENDED = 15
    #: the method requires outcomes without common days
    OVERLAPPING = 16
    #: the supplied covariance has negative eigenvalues; the nearest valid matrix was used
    COVARIANCE_REPAIRED = 17
    #: the supplied covariance is too far from any valid matrix
    COVARIANCE_REFUSED = 18
    #: too few paths for one in the tail
    TOO_FEW_PATHS = 19
    #: the replay covers enough of the portfolio; the rest moves by `others`
    PARTLY_COVERED = 20
    #: at the deadline, another worker was still computing it or its kernel was not compiled
    NOT_IN_TIME = 21
    #: rounding of the P&L may change the result in its first six digits
    ILL_CONDITIONED = 22
    #: an expected shortfall below zero: the portfolio gains on average even in the tail
    NEGATIVE_ES = 23

    @property
    def status(self) -> MeasureStatus:
        return _STATUS[self]

    @property
    def reason(self) -> str | None:
        return None if self is Outcome.OK else self.name.lower()

    @property
    def has_value(self) -> bool:
        """Whether the outcome has a number to compare with limits."""
        with_value = (MeasureStatus.OK, MeasureStatus.DEGRADED)
        return self.status in with_value or self is Outcome.ZERO_GROSS


_STATUS = {
    Outcome.OK: MeasureStatus.OK,
    Outcome.NEGATIVE_VAR: MeasureStatus.OK,
    Outcome.NO_EXPOSURE: MeasureStatus.OK,
    Outcome.ZERO_GROSS: MeasureStatus.UNDEFINED,
    Outcome.NAV_UNKNOWN: MeasureStatus.UNDEFINED,
    Outcome.NAV_NOT_POSITIVE: MeasureStatus.UNDEFINED,
    Outcome.NOT_IN_SCENARIO: MeasureStatus.UNDEFINED,
    Outcome.UNKNOWN_SCENARIO: MeasureStatus.UNDEFINED,
    Outcome.WINDOW_TOO_SHORT: MeasureStatus.INSUFFICIENT_DATA,
    Outcome.NOT_FINITE: MeasureStatus.ERROR,
    Outcome.NOT_COMPUTED: MeasureStatus.ERROR,
    Outcome.UNKNOWN_INSTRUMENT: MeasureStatus.UNDEFINED,
    Outcome.MISSING_RETURNS: MeasureStatus.INSUFFICIENT_DATA,
    Outcome.NO_VARIANCE: MeasureStatus.UNDEFINED,
    Outcome.OUTSIDE_DOMAIN: MeasureStatus.DEGRADED,
    Outcome.OPEN_ENDED: MeasureStatus.INSUFFICIENT_DATA,
    Outcome.OVERLAPPING: MeasureStatus.UNDEFINED,
    Outcome.COVARIANCE_REPAIRED: MeasureStatus.DEGRADED,
    Outcome.COVARIANCE_REFUSED: MeasureStatus.UNDEFINED,
    Outcome.TOO_FEW_PATHS: MeasureStatus.INSUFFICIENT_DATA,
    Outcome.PARTLY_COVERED: MeasureStatus.DEGRADED,
    Outcome.NOT_IN_TIME: MeasureStatus.ERROR,
    Outcome.ILL_CONDITIONED: MeasureStatus.UNDEFINED,
    Outcome.NEGATIVE_ES: MeasureStatus.OK,
}

#: the number of observations of a portfolio for which no past outcomes were counted
NO_PAST = -1
#: `Outcome.has_value` by the number of the outcome
HAS_VALUE = np.array([outcome.has_value for outcome in Outcome])
_IS_OK = np.array([outcome.status is MeasureStatus.OK for outcome in Outcome])


@dataclass(frozen=True, slots=True, eq=False)
class MeasureColumn:
    """`values` (P,) float64, NaN if there is no number; `outcomes` (P,) int8 of `Outcome`.

    `n_observations` (P,) int64 is the number of past outcomes behind each value, `NO_PAST` where
    none were counted; None for a measure that uses no past outcomes.
    """

    values: npt.NDArray[np.float64]
    outcomes: npt.NDArray[np.int8]
    n_observations: npt.NDArray[np.int64] | None = None

    @property
    def has_value(self) -> npt.NDArray[np.bool_]:
        return HAS_VALUE[self.outcomes]

    @property
    def is_ok(self) -> npt.NDArray[np.bool_]:
        return _IS_OK[self.outcomes]

    def where(self, valid: npt.NDArray[np.bool_]) -> MeasureColumn:
        """Return the column with NaN and `NOT_COMPUTED` where `valid` is false."""
        if valid.all():
            return self
        n = self.n_observations
        return MeasureColumn(
            np.where(valid, self.values, np.nan),
            np.where(valid, self.outcomes, np.int8(Outcome.NOT_COMPUTED)).astype(np.int8),
            None if n is None else np.where(valid, n, NO_PAST),
        )

    def over(self, n_observations: npt.NDArray[np.int64]) -> MeasureColumn:
        """Return the column as that of a measure of this number (P,) of past outcomes."""
        return MeasureColumn(self.values, self.outcomes, n_observations)

    @classmethod
    def joined(
        cls, n: int, parts: Iterable[tuple[npt.NDArray[np.int64], MeasureColumn]]
    ) -> MeasureColumn:
        """Return the column (n,) of `parts`: the rows of each, and its column."""
        values, outcomes = np.empty(n), np.empty(n, dtype=np.int8)
        counts: npt.NDArray[np.int64] | None = None
        for rows, column in parts:
            values[rows], outcomes[rows] = column.values, column.outcomes
            if column.n_observations is not None:
                counts = np.full(n, NO_PAST) if counts is None else counts
                counts[rows] = column.n_observations
        return cls(values, outcomes, counts)

    @classmethod
    def missing(cls, n: int, outcome: Outcome) -> MeasureColumn:
        """Return a column (n,) without numbers, where `outcome` is the reason everywhere."""
        return cls(np.full(n, np.nan), np.full(n, outcome, dtype=np.int8))

    @classmethod
    def of(
        cls, values: npt.NDArray[np.float64], *marks: tuple[npt.NDArray[np.bool_], Outcome]
    ) -> MeasureColumn:
        """Return `values`, each with the outcome of the first mark whose mask is true.

        A value that is not finite has NOT_FINITE; a value whose outcome has no number becomes NaN.
        """
        outcomes = np.zeros(values.shape, dtype=np.int8)
        marks = tuple(mark for mark in marks if mark[0].any())
        # A sum is finite only if all of its terms are finite.
        if not marks and isfinite(values.sum()):
            return cls(values, outcomes)
        for mask, outcome in reversed(marks):
            outcomes[mask] = outcome
        outcomes[HAS_VALUE[outcomes] & ~np.isfinite(values)] = Outcome.NOT_FINITE
        return cls(np.where(HAS_VALUE[outcomes], values, np.nan), outcomes)
