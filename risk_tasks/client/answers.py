"""Answers of blocks as tables and as reports, in the order of the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.model.column import NO_PAST
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, ReportStatus, RiskReport
from risk_tasks.wire.answer import BREACH_TYPE, AnswerBlock, breach_column
from risk_tasks.wire.reports import reports

#: `order[i]` (P,) is the index among the answers of the caller's portfolio i; None: the same order
Order = npt.NDArray[np.int64] | None

Result = TypeVar("Result")

#: ids and answers in the order of the blocks, and the permutation to that of the caller -> a result
Decode = Callable[[pa.StringArray, Iterable[AnswerBlock], Order], Result]

_STATUS = (ReportStatus.OK, ReportStatus.ERROR)
_WINDOW = ("ok", "short")
#: the columns after the measures
BEHIND = (
    ("status", pa.string()),
    ("decision", pa.string()),
    ("breach_count", pa.int32()),
    ("code", pa.string()),
    ("limits_applied", pa.int32()),
    # null if no measure of the past was computed, as the status of the window
    ("n_observations", pa.int64()),
    ("window_status", pa.string()),
    ("data_quality", pa.list_(pa.string())),
)


@dataclass(frozen=True, slots=True)
class Tables:
    """A row per portfolio, and for callers of breaches a row per breach."""

    portfolios: pa.Table
    breaches: pa.Table | None = None

    def __getitem__(self, rows: slice) -> Tables:
        """Return the tables of the portfolios in `rows`."""
        own = self.portfolios[rows]
        if self.breaches is None:
            return Tables(own)
        # The breaches are in the order of the portfolios, as many as each row counts.
        counts = (self.portfolios["breach_count"][: rows.start], own["breach_count"])
        n_before, n_own = (pc.sum(one).as_py() or 0 for one in counts)
        return Tables(own, self.breaches.slice(n_before, n_own))


def decode_reports(
    ids: pa.StringArray, answers: Iterable[AnswerBlock], order: Order = None
) -> list[RiskReport]:
    """Return a report per portfolio."""
    found = reports(ids.to_pylist(), list(answers))
    return found if order is None else [found[index] for index in order.tolist()]


def decode_tables(names: Sequence[MeasureName], *, with_breaches: bool) -> Decode[Tables]:
    """Return a function that makes tables of answers while these arrive."""

    def decode(ids: pa.StringArray, answers: Iterable[AnswerBlock], order: Order = None) -> Tables:
        if with_breaches:
            answers = list(answers)
        table = answer_table(ids, names, answers)
        if order is not None:
            table = table.take(pa.array(order))
        return Tables(table, breach_table(ids, answers, order) if with_breaches else None)

    return decode


def answer_table(
    portfolio_ids: pa.StringArray, names: Sequence[MeasureName], answers: Iterable[AnswerBlock]
) -> pa.Table:
    """Return a row per portfolio: id, measures (null unless ok), and the columns of `BEHIND`."""
    schema = _schema(tuple(names))
    measures = schema.names[: len(names)]
    pieces = [
        pa.Table.from_arrays([*_measures(answer, measures), *_outcome(answer)], schema=schema)
        for answer in answers
    ]
    table = pa.concat_tables(pieces) if pieces else schema.empty_table()
    return table.add_column(0, "portfolio_id", portfolio_ids)


def breach_table(
    portfolio_ids: pa.StringArray, answers: Iterable[AnswerBlock], order: Order = None
) -> pa.Table:
    """Return a row per breach: the id of the portfolio and the fields of `Breach`.

    Breaches stay in Arrow: none becomes an object.
    """
    columns = [breach_column(answer) for answer in answers]
    if order is not None:
        indices = pa.array(order)
        portfolio_ids, columns = (
            portfolio_ids.take(indices),
            [pa.concat_arrays(columns).take(indices)],
        )
    pieces = []
    start = 0
    for column in columns:
        if column.null_count < len(column):
            ids = portfolio_ids.slice(start).take(pc.list_parent_indices(column))
            pieces.append(pa.table([ids, *column.flatten().flatten()], schema=_BREACHES))
        start += len(column)
    return pa.concat_tables(pieces) if pieces else _BREACHES.empty_table()


_BREACHES = pa.schema([("portfolio_id", pa.string()), *BREACH_TYPE])


@lru_cache(maxsize=256)
def _schema(names: tuple[MeasureName, ...]) -> pa.Schema:
    """Cached: most calls have the same measures."""
    measures = [(str(name), pa.float64()) for name in names]
    return pa.schema([*measures, *BEHIND])


def _measures(answer: AnswerBlock, names: Sequence[str]) -> Iterator[pa.DoubleArray]:
    """Yield the column of each measure."""
    last, is_null = None, None
    for name in names:
        column = answer.columns.get(name)
        if column is None:
            yield pa.nulls(len(answer), pa.float64())
            continue
        # The columns of a block without any problem share one array of outcomes.
        if column.outcomes is not last:
            last = column.outcomes
            is_null = ~column.is_ok if last.any() else None
        yield pa.array(column.values, mask=is_null)


def _outcome(answer: AnswerBlock) -> Iterator[pa.Array]:
    """Yield the columns after the measures."""
    errors, n = answer.errors, len(answer)
    is_error = np.zeros(n, dtype=np.int8)
    is_error[list(errors)] = 1
    yield _words(_STATUS, is_error)
    yield _words(GRAVITY, answer.decisions)
    yield pa.array(answer.breach_counts, pa.int32())
    if errors:
        yield pa.array([errors[row].code if row in errors else None for row in range(n)])
    else:
        yield pa.nulls(n, pa.string())
    yield pa.array(answer.limits_applied, pa.int32())
    counted = answer.n_observations != NO_PAST
    all_counted = bool(counted.all())
    yield pa.array(answer.n_observations, mask=None if all_counted else ~counted)
    status = _words(_WINDOW, answer.short.view(np.int8))
    yield status if all_counted else pc.if_else(pa.array(counted), status, None)
    yield _findings(answer)


def _findings(answer: AnswerBlock) -> pa.ListArray:
    """Return the findings of each row as texts; most often no row has any."""
    n, by_row = len(answer), answer.data_quality
    if not by_row:
        return pa.ListArray.from_arrays(np.zeros(n + 1, np.int32), pa.array([], pa.string()))
    cells = [[str(one) for one in by_row.get(row, ())] for row in range(n)]
    return pa.array(cells, pa.list_(pa.string()))


def _words(words: Sequence[str], indices: npt.NDArray[np.int8]) -> pa.StringArray:
    """Return the word of each row; most often all rows have the same."""
    if len(indices) and (indices == indices[0]).all():
        return pa.repeat(pa.scalar(str(words[indices[0]])), len(indices))
    return pa.array([str(word) for word in words]).take(pa.array(indices))
