"""Answers of blocks as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, ReportStatus
from risk_tasks.wire.answer import BREACH_TYPE, AnswerBlock, BreachColumn


def answer_table(
    portfolio_ids: pa.StringArray, names: Sequence[MeasureName], answers: Iterable[AnswerBlock]
) -> pa.Table:
    """Return a row per portfolio: its id, its measures (null unless ok), and what follows."""
    pieces = [_piece(answer, names) for answer in answers]
    table = pa.concat_tables(pieces) if pieces else _piece(None, names)
    return table.add_column(0, "portfolio_id", portfolio_ids)


def _piece(answer: AnswerBlock | None, names: Sequence[MeasureName]) -> pa.Table:
    n = 0 if answer is None else len(answer)
    columns: dict[str, pa.Array] = {}
    for name in names:
        column = None if answer is None else answer.columns.get(str(name))
        if column is None:
            columns[str(name)] = pa.nulls(n, pa.float64())
        else:
            unsure = ~column.is_ok if column.outcomes.any() else None
            columns[str(name)] = pa.array(column.values, mask=unsure)
    errors = answer.errors if answer else {}
    code = pa.nulls(n, pa.string())
    if errors:
        code = pa.array([errors[row].code if row in errors else None for row in range(n)])
    failed = code.is_valid().cast(pa.int8()).to_numpy()
    columns["status"] = _words([ReportStatus.OK, ReportStatus.ERROR], failed)
    columns["decision"] = _words(GRAVITY, answer.decisions if answer else failed)
    columns["breach_count"] = pa.array(answer.breach_counts if answer else [], pa.int32())
    columns["code"] = code
    return pa.table(columns)


def _words(words: Sequence[str], places: npt.NDArray[np.int8]) -> pa.StringArray:
    """Return the word of each row; most often it is the same for all."""
    if len(places) and (places == places[0]).all():
        return pa.repeat(pa.scalar(str(words[places[0]])), len(places))
    return pa.array([str(word) for word in words]).take(pa.array(places))


def breach_table(portfolio_ids: pa.StringArray, answers: Iterable[AnswerBlock]) -> pa.Table:
    """Return a row per breach: the portfolio's id and the fields of `Breach`.

    `answers` are as they were decoded, so that no breach becomes an object on its way.
    """
    schema = pa.schema([("portfolio_id", pa.string()), *BREACH_TYPE])
    pieces = []
    start = 0
    for answer in answers:
        if isinstance(answer.breaches, BreachColumn):
            column = answer.breaches.column
            ids = portfolio_ids.slice(start).take(pc.list_parent_indices(column))
            pieces.append(pa.table([ids, *column.flatten().flatten()], schema=schema))
        start += len(answer)
    return pa.concat_tables(pieces) if pieces else schema.empty_table()
