"""What callers get of the answers to a request, which may be that of several of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.client.answers import answer_table, breach_table
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import RiskReport
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.reports import reports


class Outcome(Protocol):
    """The answers in the shape that a kind of call wants."""

    def rows(self, start: int, stop: int) -> Self:
        """Return what is of the portfolios from `start` to before `stop`."""


@dataclass(frozen=True, slots=True)
class Tables:
    """A row per portfolio, and where they are asked for a row per breach."""

    found: pa.Table
    breaches: pa.Table | None = None

    @classmethod
    def shape(cls, names: Sequence[MeasureName], *, with_breaches: bool) -> TableShape:
        """Return what makes tables of ids and of answers, as these come."""

        def of(ids: pa.StringArray, answers: Iterable[AnswerBlock]) -> Tables:
            if not with_breaches:
                return cls(answer_table(ids, names, answers))
            answers = list(answers)
            return cls(answer_table(ids, names, answers), breach_table(ids, answers))

        return of

    def rows(self, start: int, stop: int) -> Tables:
        found = self.found.slice(start, stop - start)
        if self.breaches is None:
            return Tables(found)
        # There is a row for each breach that is counted, in the order of the portfolios.
        counts = (self.found["breach_count"].slice(0, start), found["breach_count"])
        before, own = (pc.sum(one).as_py() or 0 for one in counts)
        return Tables(found, self.breaches.slice(before, own))


#: ids and answers, as these come -> their tables
TableShape = Callable[[pa.StringArray, Iterable[AnswerBlock]], Tables]


@dataclass(frozen=True, slots=True)
class Reports:
    """A report per portfolio."""

    found: list[RiskReport]

    @classmethod
    def of(cls, ids: pa.StringArray, answers: Iterable[AnswerBlock]) -> Reports:
        return cls(reports(ids.to_pylist(), list(answers)))

    def rows(self, start: int, stop: int) -> Reports:
        return Reports(self.found[start:stop])
