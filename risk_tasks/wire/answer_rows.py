"""An answer as one message of msgpack, in which a few checks are told at the least cost."""

from __future__ import annotations

from itertools import chain
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from risk_tasks.errors import DecodeError
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.report import Breach, NotEvaluated, ReportError
from risk_tasks.wire.answer import (
    KIND,
    AnswerBlock,
    AnswerHead,
    require_counts,
    require_decisions,
    require_measures,
    require_numbers,
    require_success,
)
from risk_tasks.wire.framing import decoding, framed, unframed

_CODE, _COUNT, _VALUE = np.dtype("i1"), np.dtype("<i4"), np.dtype("<f8")


class _Rows(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    head: AnswerHead
    measures: tuple[str, ...]
    decisions: bytes
    breach_counts: bytes
    #: of the first measure for each row, then of the second
    values: bytes
    outcomes: bytes | None
    errors: dict[int, ReportError]
    breaches: dict[int, list[Breach]]
    gaps: dict[int, list[NotEvaluated]]
    portfolio_ids: list[str | None]
    input_hashes: list[str]


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Rows)


def encode_rows(answer: AnswerBlock) -> bytes:
    """Return `answer`, which explains nothing, as msgpack."""
    measured = list(answer.columns.values())
    is_fine = not any(column.outcomes.any() for column in measured)
    rows = _Rows(
        answer.head,
        tuple(answer.columns),
        answer.decisions.tobytes(),
        answer.breach_counts.astype(_COUNT, copy=False).tobytes(),
        b"".join(column.values.astype(_VALUE, copy=False).tobytes() for column in measured),
        None if is_fine else b"".join(column.outcomes.tobytes() for column in measured),
        dict(answer.errors),
        {row: list(breaches) for row, breaches in answer.breaches.items()},
        {row: list(gaps) for row, gaps in answer.gaps.items()},
        list(answer.portfolio_ids),
        list(answer.input_hashes),
    )
    return framed(KIND, _ENCODER.encode(rows))


def decode_rows(data: bytes) -> AnswerBlock:
    """Return the answer in `data`; raises `WireError`, or what a worker's failure is."""
    with decoding(KIND):
        rows = _DECODER.decode(unframed(KIND, data))
    require_success(rows.head)
    with decoding(KIND):
        return _read(rows)


def _read(rows: _Rows) -> AnswerBlock:
    names = require_measures(rows.measures)
    counts = require_counts(np.frombuffer(rows.breach_counts, _COUNT))
    n = len(counts)
    values = _matrix(rows.values, _VALUE, len(names), n)
    told = None if rows.outcomes is None else _matrix(rows.outcomes, _CODE, len(names), n)
    require_numbers(values, told)
    outcomes = [np.zeros(n, _CODE)] * len(names) if told is None else told
    answer = AnswerBlock(
        head=rows.head,
        decisions=require_decisions(np.frombuffer(rows.decisions, _CODE)),
        breach_counts=counts,
        columns=dict(zip(names, map(MeasureColumn, values, outcomes), strict=True)),
        errors=rows.errors,
        breaches=rows.breaches,
        gaps=rows.gaps,
        # A row without an id has an error, and nobody is told of it by id.
        portfolio_ids=cast("list[str]", rows.portfolio_ids),
        input_hashes=rows.input_hashes,
    )
    _require_shape(answer, n)
    return answer


def _matrix(data: bytes, kind: np.dtype[Any], n_measures: int, n: int) -> npt.NDArray[Any]:
    return np.frombuffer(data, kind).reshape(n_measures, n)


def _require_shape(answer: AnswerBlock, n: int) -> None:
    told = {len(answer.decisions), len(answer.portfolio_ids) or n, len(answer.input_hashes) or n}
    rows = chain(answer.errors, answer.breaches, answer.gaps)
    if told != {n} or not all(0 <= row < n for row in rows):
        raise DecodeError("There are more rows, or fewer, than there are answers.")
