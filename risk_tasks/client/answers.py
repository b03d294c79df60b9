"""Answers of blocks as tables and as reports, in the order of the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

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
        table = answer_table(ids, names, answers, order)
        return Tables(table, breach_table(ids, answers, order) if with_breaches else None)

    return decode


def answer_table(
    portfolio_ids: pa.StringArray,
    names: Sequence[MeasureName],
    answers: Iterable[AnswerBlock],
    order: Order = None,
) -> pa.Table:
    """Return a row per portfolio: id, measures (null unless ok), and the columns of `BEHIND`."""
    own, schema = _schemas(tuple(names))
    seen, pieces = [], []
    # The columns of the measures are made while answers arrive.
    for answer in answers:
        seen.append(answer)
        pieces.append(pa.Table.from_arrays(list(_measures(answer, own.names)), schema=own))
    measured = pa.concat_tables(pieces) if pieces else own.empty_table()
    if order is not None:
        indices = pa.array(order)
        portfolio_ids = portfolio_ids.take(indices)
        measured = measured.take(indices) if names else measured
    columns = [portfolio_ids, *measured.columns, *_behind(seen, order)]
    return pa.Table.from_arrays(columns, schema=schema)


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
def _schemas(names: tuple[MeasureName, ...]) -> tuple[pa.Schema, pa.Schema]:
    """Return the schema of the measures, and that of the table.

    Cached: most calls have the same measures.
    """
    measures = [(str(name), pa.float64()) for name in names]
    return pa.schema(measures), pa.schema([("portfolio_id", pa.string()), *measures, *BEHIND])


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


def _behind(answers: Sequence[AnswerBlock], order: Order) -> Iterator[pa.Array]:
    """Yield the columns after the measures.

    Few texts differ: the numbers are permuted first, and then the texts are made once.
    """
    errors: dict[int, str] = {}
    findings: dict[int, list[str]] = {}
    n = 0
    for answer in answers:
        errors.update((n + row, error.code) for row, error in answer.errors.items())
        findings.update((n + row, [*map(str, of)]) for row, of in answer.data_quality.items())
        n += len(answer)
    is_error = np.zeros(n, dtype=np.int8)
    is_error[list(errors)] = 1

    def permuted(column: Any) -> Any:
        return column if order is None else column[order]

    def joined(columns: Iterable[npt.NDArray[Any]], kind: npt.DTypeLike) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = permuted(np.concatenate([np.zeros(0, kind), *columns]))
        return column

    yield _words(_STATUS, permuted(is_error))
    yield _words(GRAVITY, joined((one.decisions for one in answers), np.int8))
    yield pa.array(joined((one.breach_counts for one in answers), np.int32))
    yield _cells(errors, n, order, pa.string())
    yield pa.array(joined((one.limits_applied for one in answers), np.int32))
    n_observations = joined((one.n_observations for one in answers), np.int64)
    is_unknown = n_observations == NO_PAST
    mask = is_unknown if is_unknown.any() else None
    yield pa.array(n_observations, mask=mask)
    window = _words(_WINDOW, joined((one.short for one in answers), np.bool_).view(np.int8))
    yield window if mask is None else pc.if_else(pa.array(mask), None, window)
    yield _cells(findings, n, order, pa.list_(pa.string()))


def _cells(cells: Mapping[int, Any], n: int, order: Order, kind: pa.DataType) -> pa.Array:
    """Return the cells by row, an empty list or null in all other rows; most often in all."""
    if cells:
        empty: list[str] | None = [] if pa.types.is_list(kind) else None
        column = pa.array([cells.get(row, empty) for row in range(n)], kind)
        return column if order is None else column.take(pa.array(order))
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(np.zeros(n + 1, np.int32), pa.array([], pa.string()))
    return pa.nulls(n, kind)


def _words(words: Sequence[str], indices: npt.NDArray[np.int8]) -> pa.StringArray:
    """Return the word of each row; most often all rows have the same."""
    if len(indices) and (indices == indices[0]).all():
        return pa.repeat(pa.scalar(str(words[indices[0]])), len(indices))
    return pa.array([str(word) for word in words]).take(pa.array(indices))
