"""An answer as columns of Arrow, which many checks are best told in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import DecodeError
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.report import Breach, Contributor, NotEvaluated, ReportError, TailScenario
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
from risk_tasks.wire.arrow import decode_batch, encode_batch
from risk_tasks.wire.explanation import EXPLANATION_TYPE, read_explanations
from risk_tasks.wire.framing import decoding

BREACH_TYPE = pa.struct(
    [
        ("limit", pa.string()),
        ("measure", pa.string()),
        ("observed", pa.float64()),
        ("threshold", pa.float64()),
        ("unit", pa.string()),
        ("utilisation", pa.float64()),
        ("severity", pa.string()),
        (
            "contributors",
            pa.list_(
                pa.struct(
                    [
                        ("instrument", pa.string()),
                        ("amount", pa.float64()),
                        ("share", pa.float64()),
                    ]
                )
            ),
        ),
        (
            "scenarios",
            pa.list_(
                pa.struct(
                    [
                        ("observation", pa.int64()),
                        ("date", pa.date32()),
                        ("pnl", pa.float64()),
                    ]
                )
            ),
        ),
    ]
)
_GAP_TYPE = pa.struct(
    [(name, pa.string()) for name in ("limit", "measure", "reason", "missing_data")]
)
_ERROR_TYPE = pa.struct([(name, pa.string()) for name in ("code", "message", "field", "remedy")])


_VALUE, _OUTCOME = pa.float64(), pa.int8()


def encode_columns(answer: AnswerBlock) -> bytes:
    """Return `answer` as Arrow IPC bytes; columns that say nothing are left out."""
    n, measured = len(answer), list(answer.columns.values())
    columns: dict[str, pa.Array] = {
        "decision": pa.array(answer.decisions),
        "breach_count": pa.array(answer.breach_counts),
    }
    for place, column in enumerate(measured):
        columns[f"value:{place}"] = pa.array(column.values)
    if any(column.outcomes.any() for column in measured):
        for place, column in enumerate(measured):
            columns[f"outcome:{place}"] = pa.array(column.outcomes)
    for name, rows, kind in (
        ("error", answer.errors, _ERROR_TYPE),
        ("breaches", answer.breaches, pa.list_(BREACH_TYPE)),
        ("not_evaluated", answer.gaps, pa.list_(_GAP_TYPE)),
        ("explanation", answer.explanations, EXPLANATION_TYPE),
    ):
        if rows:
            columns[name] = _cells(rows, n, kind)
    if answer.portfolio_ids:
        columns["portfolio_id"] = pa.array(answer.portfolio_ids, pa.string())
    if answer.input_hashes:
        columns["input_hash"] = pa.array(answer.input_hashes, pa.string())
    metadata = {
        "head": msgspec.json.encode(answer.head).decode(),
        "measures": msgspec.json.encode(list(answer.columns)).decode(),
    }
    return encode_batch(pa.record_batch(columns), KIND, metadata)


def decode_columns(data: bytes) -> AnswerBlock:
    """Return the answer in `data`; raises `WireError`, or what a worker's failure is."""
    batch, metadata = decode_batch(data, KIND)
    with decoding(KIND):
        head = msgspec.json.decode(metadata["head"], type=AnswerHead)
    require_success(head)
    with decoding(KIND):
        return _read_answer(batch, head, metadata["measures"])


def _read_answer(batch: pa.RecordBatch, head: AnswerHead, measures: str) -> AnswerBlock:
    return AnswerBlock(
        head=head,
        decisions=require_decisions(batch.column("decision").to_numpy()),
        breach_counts=_read_counts(batch.column("breach_count")),
        columns=_read_columns(batch, _measure_texts(measures)),
        errors={
            row: ReportError(**cell)
            for row, cell in enumerate(_read_cells(batch, "error"))
            if cell is not None
        },
        breaches=_read_breaches(batch),
        gaps={
            row: [NotEvaluated(**gap) for gap in cell]
            for row, cell in enumerate(_read_cells(batch, "not_evaluated"))
            if cell is not None
        },
        portfolio_ids=_read_cells(batch, "portfolio_id"),
        input_hashes=_read_cells(batch, "input_hash"),
        explanations=read_explanations(batch.column("explanation"))
        if "explanation" in batch.schema.names
        else {},
    )


@lru_cache(maxsize=256)
def _measure_texts(text: str) -> tuple[str, ...]:
    return require_measures(msgspec.json.decode(text, type=tuple[str, ...]))


def _read_columns(batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, MeasureColumn]:
    values = [_numbers(batch, f"value:{place}", _VALUE) for place in range(len(names))]
    if "outcome:0" not in batch.schema.names:
        for of_one in values:
            require_numbers(of_one)
        fine = np.zeros(len(batch), dtype=np.int8)
        return {
            name: MeasureColumn(of_one, fine) for name, of_one in zip(names, values, strict=True)
        }
    told = [_numbers(batch, f"outcome:{place}", _OUTCOME) for place in range(len(names))]
    for of_one, outcomes in zip(values, told, strict=True):
        require_numbers(of_one, outcomes)
    return dict(zip(names, map(MeasureColumn, values, told), strict=True))


def _numbers(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> npt.NDArray[Any]:
    column = batch.column(name)
    if column.type != kind or column.null_count:
        raise DecodeError(f"{name} holds {column.type}, or nothing.")
    numbers: npt.NDArray[Any] = column.to_numpy()
    return numbers


def _read_counts(column: pa.Array) -> npt.NDArray[np.int32]:
    if column.type != pa.int32() or column.null_count:
        raise DecodeError(f"breach_count holds {column.type}, or nothing.")
    return require_counts(column.to_numpy())


def _read_cells(batch: pa.RecordBatch, name: str) -> list[Any]:
    return batch.column(name).to_pylist() if name in batch.schema.names else []


def breach_column(answer: AnswerBlock) -> pa.ListArray:
    """Return the breaches of each row, null where it has none."""
    if isinstance(answer.breaches, BreachColumn):
        return answer.breaches.column
    if not answer.breaches:
        return pa.nulls(len(answer), pa.list_(BREACH_TYPE))
    return _cells(answer.breaches, len(answer), pa.list_(BREACH_TYPE))


def _cells(rows: Mapping[int, Any], n: int, kind: pa.DataType) -> pa.Array:
    told = [msgspec.to_builtins(rows.get(place), builtin_types=(date,)) for place in range(n)]
    return pa.array(told, kind)


class BreachColumn(Mapping[int, Sequence[Breach]]):
    """The breaches of each row that has any; objects are made where somebody asks for them."""

    def __init__(self, column: pa.ListArray) -> None:
        self.column = column

    def __getitem__(self, row: int) -> list[Breach]:
        breaches = self.column[row].as_py()
        if breaches is None:
            raise KeyError(row)
        return [_breach(**one) for one in breaches]

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self.column.is_valid().to_numpy(zero_copy_only=False)).tolist())

    def __len__(self) -> int:
        return len(self.column) - int(self.column.null_count)


def _breach(
    *, contributors: list[dict[str, Any]], scenarios: list[dict[str, Any]], **fields: Any
) -> Breach:
    return Breach(
        **fields,
        contributors=tuple(Contributor(**part) for part in contributors),
        scenarios=tuple(TailScenario(**one) for one in scenarios),
    )


def _read_breaches(batch: pa.RecordBatch) -> Mapping[int, Sequence[Breach]]:
    if "breaches" not in batch.schema.names:
        return {}
    column = batch.column("breaches")
    if column.type != pa.list_(BREACH_TYPE):
        raise DecodeError(f"breaches holds {column.type}.")
    breaches = column.flatten()
    contributors = breaches.field("contributors")
    positions = contributors.flatten()
    outcomes = breaches.field("scenarios")
    of_outcomes = outcomes.flatten()
    told = [breaches, contributors, positions, *map(positions.field, ("instrument", "amount"))]
    told += [outcomes, of_outcomes, *map(of_outcomes.field, ("observation", "pnl"))]
    told += map(breaches.field, _ALWAYS_TOLD)
    if any(array.null_count for array in told):
        raise DecodeError("A breach lacks what each of them has.")
    return BreachColumn(column)


_ALWAYS_TOLD = ("limit", "measure", "observed", "threshold", "unit", "severity")
