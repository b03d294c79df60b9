"""The answer to a block of checks on its way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

from risk_tasks.errors import DecodeError, RiskTasksError
from risk_tasks.model.column import HAS_VALUE, MeasureColumn, Outcome
from risk_tasks.model.explanation import Explanation
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, Breach, NotEvaluated, ReportError

KIND = "risk.answer"


class AnswerHead(msgspec.Struct, frozen=True):
    """Which versions a block was answered with, and how long it took."""

    market_id: str | None = None
    as_of: datetime | None = None
    limits_version: str | None = None
    timings: dict[str, float] = {}
    #: why there is no answer at all
    failure: str | None = None


@dataclass(slots=True, eq=False)
class AnswerBlock:
    """One row per portfolio of the request, in its order.

    `decisions` (P,), places in `GRAVITY`; `breach_counts` (P,); `columns` by the name of a measure;
    the rest by row, empty where the request's detail does not ask for it. A row with an error has
    no measures.
    """

    head: AnswerHead
    decisions: npt.NDArray[np.int8]
    breach_counts: npt.NDArray[np.int32]
    columns: Mapping[str, MeasureColumn]
    errors: Mapping[int, ReportError] = field(default_factory=dict)
    breaches: Mapping[int, Sequence[Breach]] = field(default_factory=dict)
    gaps: Mapping[int, Sequence[NotEvaluated]] = field(default_factory=dict)
    portfolio_ids: Sequence[str] = ()
    input_hashes: Sequence[str] = ()
    explanations: Mapping[int, Explanation] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.breach_counts)


def require_success(head: AnswerHead) -> AnswerHead:
    """Return `head`; raises `RiskTasksError` where it tells of a worker's failure."""
    if head.failure:
        raise RiskTasksError(f"The worker failed: {head.failure}")
    return head


def require_decisions(codes: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return `codes`, places in `GRAVITY`; raises `DecodeError` for others."""
    return _require_places(codes, len(GRAVITY))


def require_counts(counts: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return how many breaches each row has; raises `DecodeError` for fewer than none."""
    if counts.min(initial=0) < 0:
        raise DecodeError("There are fewer breaches than none.")
    return counts


@lru_cache(maxsize=256)
def require_measures(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names`; raises `InvalidSettingsError` for what names no measure.

    Remembered: most answers hold the same measures.
    """
    for name in names:
        MeasureName.parse(name)
    return names


def require_numbers(
    values: npt.NDArray[np.float64], outcomes: npt.NDArray[np.int8] | None = None
) -> None:
    """Refuse with `DecodeError` what is no number, and no outcome says why; none says that of all.

    Of any shape, the same for both.
    """
    known = np.isfinite(values)
    if outcomes is not None:
        known |= ~HAS_VALUE[_require_places(outcomes, len(Outcome))]
    if not known.all():
        raise DecodeError("There are rows without a number, and nothing says why.")


def _require_places(codes: npt.NDArray[np.int8], n: int) -> npt.NDArray[np.int8]:
    if codes.dtype != np.int8 or (codes.size and not 0 <= codes.min() <= codes.max() < n):
        raise DecodeError(f"There are codes beyond the {n} known.")
    return codes
