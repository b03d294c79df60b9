"""A block of checks on its way to a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.model.portfolio import Portfolio

KIND = "risk.request"


class Detail(StrEnum):
    """How much of an answer is wanted."""

    #: measures, decisions and the number of breaches
    SUMMARY = "summary"
    #: and the breaches, explained
    BREACHES = "breaches"
    #: and what a `RiskReport` holds besides
    REPORTS = "reports"
    #: and how much room the limits leave
    EXPLAINED = "explained"

    @property
    def is_whole(self) -> bool:
        """Whether reports are made of the answer."""
        return self in (Detail.REPORTS, Detail.EXPLAINED)

    @classmethod
    def of_reports(cls, explain: object) -> Detail:
        """Return what reports ask for; raises `InvalidSettingsError` for neither true nor false."""
        if not isinstance(explain, bool):
            raise InvalidSettingsError(f"{explain!r} is neither true nor false.", field="explain")
        return cls.EXPLAINED if explain else cls.REPORTS


@dataclass(frozen=True, slots=True)
class Terms:
    """What all checks of a block have in common."""

    measures: tuple[MeasureName, ...]
    settings: MeasureSettings
    #: limits that came with the request; None for those that are stamped at enqueue
    limits: LimitSet | None = None
    detail: Detail = Detail.REPORTS


class TurnMark(NamedTuple):
    """Which version of a live portfolio a row is, and in which of its turns it was taken."""

    version: int
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class RequestBlock:
    """P portfolios with N positions in CSR form, as they were sent: nothing is known to be valid.

    `offsets` (P + 1,) int64; `instrument` (N,) int32, places in `instrument_names`, -1 for null;
    `quantity` (N,) float64; `cash`, `nav` (P,), null for unknown; `tags` (P,), or empty where no
    portfolio has any; `turns` (P,) of live portfolios, or empty.
    """

    terms: Terms
    portfolio_ids: pa.StringArray
    offsets: npt.NDArray[np.int64]
    instrument: npt.NDArray[np.int32]
    instrument_names: Sequence[str]
    quantity: npt.NDArray[np.float64]
    cash: pa.DoubleArray
    nav: pa.DoubleArray
    tags: Sequence[Mapping[str, str]]
    turns: Sequence[TurnMark] = ()

    def __len__(self) -> int:
        return len(self.offsets) - 1


class _Places(dict[str, int]):
    """Places of names, in order of first appearance: each has one as soon as it is looked up."""

    def __missing__(self, name: str) -> int:
        place = self[name] = len(self)
        return place


def pack_portfolios(
    portfolios: Sequence[Portfolio], terms: Terms, turns: Sequence[TurnMark] = ()
) -> RequestBlock:
    """Lay out `portfolios` as one block."""
    places = _Places()
    codes: list[int] = []
    quantities: list[float] = []
    offsets = [0]
    for portfolio in portfolios:
        codes += map(places.__getitem__, portfolio.positions)
        quantities += portfolio.positions.values()
        offsets.append(len(codes))
    return RequestBlock(
        terms=terms,
        portfolio_ids=pa.array([portfolio.id for portfolio in portfolios], pa.string()),
        offsets=np.array(offsets, dtype=np.int64),
        instrument=np.array(codes, dtype=np.int32),
        instrument_names=list(places),
        quantity=np.array(quantities, dtype=np.float64),
        cash=pa.array([portfolio.cash for portfolio in portfolios], pa.float64()),
        nav=pa.array([portfolio.nav for portfolio in portfolios], pa.float64()),
        tags=unless_empty([portfolio.tags for portfolio in portfolios]),
        turns=turns,
    )


def unless_empty(tags: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """Return `tags`, or nothing where no portfolio has any."""
    return tags if any(tags) else ()
