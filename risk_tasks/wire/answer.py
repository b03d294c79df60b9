"""The answer to a block of checks on its way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import DeadLetterError, DecodeError, ReportTimeoutError, RiskTasksError
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import Breach, Contributor, NotEvaluated, ReportError
from risk_tasks.wire.arrow import decode_batch, decoding, encode_batch

KIND = "risk.answer"
#: outcomes that the Lua writes in place of an answer
EXPIRED, DEAD = b"!expired", b"!dead "

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
    ]
)
_GAP_TYPE = pa.struct(
    [(name, pa.string()) for name in ("limit", "measure", "reason", "missing_data")]
)
_ERROR_TYPE = pa.struct([(name, pa.string()) for name in ("code", "message", "field", "remedy")])


@cache
def _outcome_names() -> pa.StringArray:
    """Made on first use: for the first array Arrow imports pandas, where there is one."""
    return pa.array([outcome.name.lower() for outcome in Outcome])


class Stamp(msgspec.Struct, frozen=True):
    """Which versions a block was answered with, and how long it took."""

    market_id: str | None = None
    as_of: str | None = None
    limits_version: str | None = None
    timings: dict[str, float] = {}
    #: why there is no answer at all
    failure: str | None = None


@dataclass(slots=True, eq=False)
class AnswerBlock:
    """One row per portfolio of the request, in its order.

    `decisions` and `breach_counts` (P,); `columns` by the name of a measure; the rest by row,
    empty where the request's detail does not ask for it. A row with an error has no measures.
    """

    stamp: Stamp
    decisions: Sequence[str]
    breach_counts: npt.NDArray[np.int32]
    columns: Mapping[str, MeasureColumn]
    errors: Mapping[int, ReportError] = field(default_factory=dict)
    breaches: Mapping[int, Sequence[Breach]] = field(default_factory=dict)
    gaps: Mapping[int, Sequence[NotEvaluated]] = field(default_factory=dict)
    portfolio_ids: Sequence[str] = ()
    input_hashes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.breach_counts)


def encode_answer(answer: AnswerBlock) -> bytes:
    """Return `answer` as Arrow IPC bytes."""
    n = len(answer)
    columns: dict[str, pa.Array] = {
        "decision": pa.array(answer.decisions, pa.string()).dictionary_encode(),
        "breach_count": pa.array(answer.breach_counts, pa.int32()),
        "error": _sparse(answer.errors, n, _ERROR_TYPE),
        "breaches": _sparse(answer.breaches, n, pa.list_(BREACH_TYPE)),
        "not_evaluated": _sparse(answer.gaps, n, pa.list_(_GAP_TYPE)),
        "portfolio_id": pa.array(answer.portfolio_ids or pa.nulls(n), pa.string()),
        "input_hash": pa.array(answer.input_hashes or pa.nulls(n), pa.string()),
    }
    for name, column in answer.columns.items():
        columns[f"value {name}"] = pa.array(column.values, mask=np.isnan(column.values))
        columns[f"outcome {name}"] = pa.DictionaryArray.from_arrays(
            pa.array(column.outcomes), _outcome_names()
        )
    stamp = msgspec.json.encode(answer.stamp).decode()
    return encode_batch(pa.record_batch(columns), KIND, {"stamp": stamp})


def encode_failure(message: str) -> bytes:
    """Return what stands for an answer where a worker could not make one."""
    stamp = msgspec.json.encode(Stamp(failure=message)).decode()
    return encode_batch(pa.record_batch({"row": pa.nulls(0)}), KIND, {"stamp": stamp})


def decode_answer(data: bytes, check_id: str = "") -> AnswerBlock:
    """Return the answer in `data`.

    Raises `WireError` for anything that is none, `RiskTasksError` for a worker's failure, and for
    outcomes that the server writes itself `ReportTimeoutError` and `DeadLetterError`.
    """
    if data.startswith(EXPIRED):
        raise ReportTimeoutError("No worker started it before its deadline.", check_id=check_id)
    if data.startswith(DEAD):
        raise DeadLetterError(f"Given up: {data[len(DEAD) :].decode()}.", check_id=check_id)
    batch, metadata = decode_batch(data, KIND)
    with decoding(KIND):
        stamp = msgspec.json.decode(metadata["stamp"], type=Stamp)
        if not stamp.failure:
            return _read_answer(batch, stamp)
    raise RiskTasksError(f"The worker failed: {stamp.failure}")


def _read_answer(batch: pa.RecordBatch, stamp: Stamp) -> AnswerBlock:
    if stamp.as_of:
        datetime.fromisoformat(stamp.as_of)
    columns = {
        name.removeprefix("value "): _read_column(batch, name.removeprefix("value "))
        for name in batch.schema.names
        if name.startswith("value ")
    }
    for name in columns:
        MeasureName.parse(name)
    return AnswerBlock(
        stamp=stamp,
        decisions=batch.column("decision").to_pylist(),
        breach_counts=batch.column("breach_count").to_numpy(),
        columns=columns,
        errors=_read_rows(batch.column("error"), _read_error),
        breaches=_read_rows(batch.column("breaches"), _read_breaches),
        gaps=_read_rows(batch.column("not_evaluated"), _read_gaps),
        portfolio_ids=batch.column("portfolio_id").to_pylist(),
        input_hashes=batch.column("input_hash").drop_null().to_pylist(),
    )


def _sparse(rows: Mapping[int, Any], n: int, kind: pa.DataType) -> pa.Array:
    if not rows:
        return pa.nulls(n, kind)
    return pa.array([msgspec.to_builtins(rows.get(place)) for place in range(n)], kind)


def _read_column(batch: pa.RecordBatch, name: str) -> MeasureColumn:
    outcome = batch.column(f"outcome {name}")
    numbers = np.array([Outcome[text.upper()] for text in outcome.dictionary.to_pylist()], np.int8)
    value = batch.column(f"value {name}")
    if value.type != pa.float64():
        raise DecodeError(f"{name} holds {value.type}, not numbers.")
    values = value.to_numpy(zero_copy_only=False)
    return MeasureColumn(values, numbers[outcome.indices.to_numpy()])


def _read_rows(column: pa.Array, read: Any) -> dict[int, Any]:
    if column.null_count == len(column):
        return {}
    return {place: read(row) for place, row in enumerate(column.to_pylist()) if row is not None}


def _read_error(row: dict[str, Any]) -> ReportError:
    return ReportError(**row)


def _read_breaches(rows: list[dict[str, Any]]) -> list[Breach]:
    return [
        Breach(
            **{**row, "contributors": tuple(Contributor(**part) for part in row["contributors"])}
        )
        for row in rows
    ]


def _read_gaps(rows: list[dict[str, Any]]) -> list[NotEvaluated]:
    return [NotEvaluated(**row) for row in rows]
