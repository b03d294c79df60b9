"""Answers of blocks as tables and as reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, ReportStatus, RiskReport
from risk_tasks.wire.answer import BREACH_TYPE, AnswerBlock, breach_column
from risk_tasks.wire.reports import reports

_STATUS = (ReportStatus.OK, ReportStatus.ERROR)


def answer_table(
    portfolio_ids: pa.StringArray, names: Sequence[MeasureName], answers: Iterable[AnswerBlock]
) -> pa.Table:
    """Return a row per portfolio: its id, its measures (null unless ok), and what follows."""
    schema = _schema(tuple(names))
    measures = schema.names[: len(names)]
    pieces = [
        pa.Table.from_arrays([*_measures(answer, measures), *_behind(answer)], schema=schema)
        for answer in answers
    ]
    table = pa.concat_tables(pieces) if pieces else schema.empty_table()
    return table.add_column(0, "portfolio_id", portfolio_ids)


@lru_cache(maxsize=256)
def _schema(names: tuple[MeasureName, ...]) -> pa.Schema:
    """Remembered: most calls ask for the same measures."""
    measures = [(str(name), pa.float64()) for name in names]
    behind = [("status", pa.string()), ("decision", pa.string())]
    return pa.schema([*measures, *behind, ("breach_count", pa.int32()), ("code", pa.string())])


def _measures(answer: AnswerBlock, names: Sequence[str]) -> Iterator[pa.DoubleArray]:
    """Yield the column of each measure."""
    looked_at, unsure = None, None
    for name in names:
        column = answer.columns.get(name)
        if column is None:
            yield pa.nulls(len(answer), pa.float64())
            continue
        # Where nothing is the matter, all columns have the same outcomes.
        if column.outcomes is not looked_at:
            looked_at = column.outcomes
            unsure = ~column.is_ok if looked_at.any() else None
        yield pa.array(column.values, mask=unsure)


def _behind(answer: AnswerBlock) -> Iterator[pa.Array]:
    """Yield the columns that stand behind the measures."""
    errors, n = answer.errors, len(answer)
    failed = np.zeros(n, dtype=np.int8)
    failed[list(errors)] = 1
    yield _words(_STATUS, failed)
    yield _words(GRAVITY, answer.decisions)
    yield pa.array(answer.breach_counts, pa.int32())
    if errors:
        yield pa.array([errors[row].code if row in errors else None for row in range(n)])
    else:
        yield pa.nulls(n, pa.string())


def _words(words: Sequence[str], places: npt.NDArray[np.int8]) -> pa.StringArray:
    """Return the word of each row; most often it is the same for all."""
    if len(places) and (places == places[0]).all():
        return pa.repeat(pa.scalar(str(words[places[0]])), len(places))
    return pa.array([str(word) for word in words]).take(pa.array(places))


def breach_table(portfolio_ids: pa.StringArray, answers: Iterable[AnswerBlock]) -> pa.Table:
    """Return a row per breach: the portfolio's id and the fields of `Breach`.

    Of many checks, no breach becomes an object on its way.
    """
    schema = pa.schema([("portfolio_id", pa.string()), *BREACH_TYPE])
    pieces = []
    start = 0
    for answer in answers:
        if answer.breaches:
            column = breach_column(answer)
            ids = portfolio_ids.slice(start).take(pc.list_parent_indices(column))
            pieces.append(pa.table([ids, *column.flatten().flatten()], schema=schema))
        start += len(answer)
    return pa.concat_tables(pieces) if pieces else schema.empty_table()


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
