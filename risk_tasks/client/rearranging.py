"""The answers to portfolios that were sent in another order, in the order of the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.report import Breach
from risk_tasks.wire.answer import AnswerBlock, AnswerHead
from risk_tasks.wire.answer_columns import BreachColumn, breach_column

Cell = TypeVar("Cell")


def rearranged(answers: Sequence[AnswerBlock], order: npt.NDArray[np.int64]) -> AnswerBlock:
    """Return one block with the rows of all `answers`, at place i the one at `order[i]`.

    They are of one request under the same versions. `order` (P,) holds each place once.
    """
    starts = list(accumulate((len(answer) for answer in answers), initial=0))
    place = np.argsort(order)

    def cells(of_each: Sequence[Mapping[int, Cell]]) -> dict[int, Cell]:
        return {
            int(place[start + row]): cell
            for start, rows in zip(starts, of_each, strict=False)
            for row, cell in rows.items()
        }

    def texts(of_each: Sequence[Sequence[str]]) -> Sequence[str]:
        found = [one for each in of_each for one in each]
        return [found[row] for row in order] if len(found) == len(order) else ()

    return AnswerBlock(
        head=_head([answer.head for answer in answers]),
        decisions=np.concatenate([answer.decisions for answer in answers])[order],
        breach_counts=np.concatenate([answer.breach_counts for answer in answers])[order],
        columns={
            name: MeasureColumn(
                np.concatenate([answer.columns[name].values for answer in answers])[order],
                np.concatenate([answer.columns[name].outcomes for answer in answers])[order],
            )
            for name in answers[0].columns
        },
        errors=cells([answer.errors for answer in answers]),
        breaches=_breaches(answers, order),
        gaps=cells([answer.gaps for answer in answers]),
        portfolio_ids=texts([answer.portfolio_ids for answer in answers]),
        input_hashes=texts([answer.input_hashes for answer in answers]),
        explanations=cells([answer.explanations for answer in answers]),
    )


def _head(heads: Sequence[AnswerHead]) -> AnswerHead:
    """Return what all say, with the longest times: a caller waited for the last of them."""
    names = dict.fromkeys(name for head in heads for name in head.timings)
    longest = {name: max(head.timings.get(name, 0.0) for head in heads) for name in names}
    return msgspec.structs.replace(heads[0], timings=longest)


def _breaches(
    answers: Sequence[AnswerBlock], order: npt.NDArray[np.int64]
) -> Mapping[int, Sequence[Breach]]:
    columns = [breach_column(answer) for answer in answers]
    if all(column.null_count == len(column) for column in columns):
        return {}
    return BreachColumn(pa.concat_arrays(columns).take(pa.array(order)))
