"""The answer to a block of checks: msgpack for few checks, Arrow for many and for explanations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from itertools import chain
from math import inf
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import DeadLetterError, DecodeError, ReportTimeoutError, RiskTasksError
from risk_tasks.model.column import HAS_VALUE, NO_PAST, MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.report import (
    GRAVITY,
    Breach,
    Explanation,
    NotEvaluated,
    ReportError,
)
from risk_tasks.wire.framing import (
    MAX_ROWS_CHECKS,
    decode_batch,
    decode_frame,
    decoding,
    encode_batch,
    encode_frame,
    is_arrow,
)

_KIND = "risk.answer"


class _RowNumber(NamedTuple):
    """A number of each row of `AnswerBlock`: its type in messages and in memory, and its bounds.

    `least` is also the default.
    """

    wire: np.dtype[Any]
    memory: np.dtype[Any]
    least: int
    most: int


_ROW_NUMBERS = {
    "limits_applied": _RowNumber(np.dtype("<i4"), np.dtype(np.int32), 0, 2**31 - 1),
    "n_observations": _RowNumber(np.dtype("<i8"), np.dtype(np.int64), NO_PAST, 2**63 - 1),
    "short": _RowNumber(np.dtype("i1"), np.dtype(bool), 0, 1),
}
#: what the server writes instead of an answer, see `broker/lua`
_EXPIRED, _DEAD = b"!expired", b"!dead "


class AnswerHead(msgspec.Struct, frozen=True):
    """The versions that a block was answered with, and its times in ms."""

    market_id: str | None = None
    as_of: datetime | None = None
    limits_version: str | None = None
    timings: dict[str, float] = {}
    #: the reason why a worker has no answer
    failure: str | None = None


@dataclass(slots=True, eq=False)
class AnswerBlock:
    """One row per portfolio of the request, in its order.

    `decisions` (P,) int8, indices into `GRAVITY`; `breach_counts` (P,) int32; `columns` by measure
    name; `limits_applied` (P,) int32, the limits that were compared; `n_observations` (P,) int64,
    the past outcomes, `NO_PAST` where none were counted; `short` (P,) bool, whether these are too
    few; the other fields by row, empty if the request's detail does not include them. A row with
    an error has no measures. By default no limit was compared and no past outcomes were counted.
    """

    head: AnswerHead
    decisions: npt.NDArray[np.int8]
    breach_counts: npt.NDArray[np.int32]
    columns: Mapping[str, MeasureColumn]
    errors: Mapping[int, ReportError] = field(default_factory=dict)
    breaches: Mapping[int, Sequence[Breach]] = field(default_factory=dict)
    gaps: Mapping[int, Sequence[NotEvaluated]] = field(default_factory=dict)
    portfolio_ids: Sequence[str] = ()
    input_hashes: Sequence[str] = ()
    explanations: Mapping[int, Explanation] = field(default_factory=dict)
    limits_applied: npt.NDArray[np.int32] = None  # type: ignore[assignment]
    n_observations: npt.NDArray[np.int64] = None  # type: ignore[assignment]
    short: npt.NDArray[np.bool_] = None  # type: ignore[assignment]
    data_quality: Mapping[int, tuple[DataFinding, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, one in _ROW_NUMBERS.items():
            if getattr(self, name) is None:
                setattr(self, name, np.full(len(self), one.least, one.memory))

    def __len__(self) -> int:
        return len(self.breach_counts)


def encode_answer(answer: AnswerBlock) -> bytes:
    """Return `answer` as bytes, in the format that suits its size and content."""
    is_small = len(answer) <= MAX_ROWS_CHECKS and not answer.explanations
    return encode_rows(answer) if is_small else encode_columns(answer)


def encode_failure(message: str) -> bytes:
    """Return the bytes that a worker sends if it has no answer."""
    head = msgspec.json.encode(AnswerHead(failure=message)).decode()
    return encode_batch(pa.record_batch({"row": pa.nulls(0)}), _KIND, {"head": head})


def decode_answer(data: bytes, check_id: str = "", block_id: str = "") -> AnswerBlock:
    """Return the answer in `data`, of either format.

    `check_id` and `block_id` are named in errors. Raises `WireError` for invalid bytes,
    `RiskTasksError` for the failure of a worker, `ReportTimeoutError` for a block that expired
    and `DeadLetterError` for one that became a dead letter.
    """
    if data.startswith(_EXPIRED):
        raise ReportTimeoutError(
            "No worker started the check before its deadline.", check_id=check_id
        )
    if data.startswith(_DEAD):
        reason = data[len(_DEAD) :].decode(errors="replace")
        raise DeadLetterError(
            f"The check was abandoned: {reason}. Its dead letter is {block_id}.",
            check_id=check_id,
            letter_id=block_id,
        )
    with decoding(_KIND):
        answer = _decode_columns(data) if is_arrow(data) else _decode_rows(data)
    if answer.head.failure:
        raise RiskTasksError(f"The worker failed: {answer.head.failure}")
    return answer


def _failed(head: AnswerHead) -> AnswerBlock:
    return AnswerBlock(head, np.zeros(0, _CODE), np.zeros(0, _COUNT), {})


@lru_cache(maxsize=256)
def _require_measures(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names`; raises `InvalidSettingsError` for an unknown one. Cached: few sets differ."""
    for name in names:
        MeasureName.parse(name)
    return names


def _require_head(answer: AnswerBlock) -> AnswerBlock:
    """Return `answer` after its decisions and counts are checked."""
    _require_codes(answer.decisions, len(GRAVITY))
    if answer.breach_counts.min(initial=0) < 0:
        raise DecodeError(f"Not a valid {_KIND}: a number of breaches is negative.")
    return answer


def _read_row_numbers(given: Mapping[str, int | npt.NDArray[Any]], n: int) -> dict[str, Any]:
    """Return the numbers of `n` rows by name; one number is that of all rows."""
    numbers = {}
    for name, kind in _ROW_NUMBERS.items():
        one = given[name]
        if isinstance(one, int):
            is_valid, of_rows = kind.least <= one <= kind.most, np.full(n, one, kind.memory)
        else:
            least, most = one.min(initial=kind.most), one.max(initial=kind.least)
            is_valid = len(one) == n and kind.least <= least and most <= kind.most
            of_rows = one.astype(kind.memory, copy=False)
        if not is_valid:
            raise DecodeError(f"Not a valid {_KIND}: {name} is not one valid number for each row.")
        numbers[name] = of_rows
    return numbers


def _require_numbers(
    values: npt.NDArray[np.float64], outcomes: npt.NDArray[np.int8] | None
) -> None:
    """Refuse a value that is not finite and has no outcome that explains it.

    `values` and `outcomes` have one shape; no `outcomes` means that every value is there.
    """
    known = np.isfinite(values)
    if outcomes is not None:
        known |= ~HAS_VALUE[_require_codes(outcomes, len(Outcome))]
    if not known.all():
        raise DecodeError(f"Not a valid {_KIND}: a value is missing without an outcome.")


def _require_codes(codes: npt.NDArray[np.int8], n: int) -> npt.NDArray[np.int8]:
    if codes.size and not 0 <= codes.min() <= codes.max() < n:
        raise DecodeError(f"Not a valid {_KIND}: a code is not within 0 to {n - 1}.")
    return codes


def _has_outcomes(answer: AnswerBlock) -> bool:
    return any(column.outcomes.any() for column in answer.columns.values())


class _Rows(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    head: AnswerHead
    measures: tuple[str, ...]
    decisions: bytes
    breach_counts: bytes
    #: all rows of the first measure, then all of the second
    values: bytes
    outcomes: bytes | None
    errors: dict[int, ReportError]
    breaches: dict[int, list[Breach]]
    gaps: dict[int, list[NotEvaluated]]
    portfolio_ids: list[str | None]
    input_hashes: list[str]
    #: in the order of `_ROW_NUMBERS`: one number if all rows have it, else the bytes of all
    row_numbers: tuple[int | bytes, ...]
    data_quality: dict[int, tuple[DataFinding, ...]]


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Rows)
_CODE, _COUNT, _VALUE = np.dtype("i1"), np.dtype("<i4"), np.dtype("<f8")


def encode_rows(answer: AnswerBlock) -> bytes:
    """Return `answer`, without its explanations, as msgpack."""
    columns = answer.columns.values()
    rows = _Rows(
        answer.head,
        tuple(answer.columns),
        answer.decisions.tobytes(),
        answer.breach_counts.astype(_COUNT, copy=False).tobytes(),
        b"".join(column.values.astype(_VALUE, copy=False).tobytes() for column in columns),
        b"".join(column.outcomes.tobytes() for column in columns)
        if _has_outcomes(answer)
        else None,
        dict(answer.errors),
        {row: list(breaches) for row, breaches in answer.breaches.items()},
        {row: list(gaps) for row, gaps in answer.gaps.items()},
        list(answer.portfolio_ids),
        list(answer.input_hashes),
        tuple(map(_number_or_bytes, _row_numbers(answer).values())),
        dict(answer.data_quality),
    )
    return encode_frame(_KIND, _ENCODER.encode(rows))


def _row_numbers(answer: AnswerBlock) -> dict[str, int | npt.NDArray[Any]]:
    """Return the numbers of each row by name: one number if all rows have it, else an array."""
    numbers: dict[str, int | npt.NDArray[Any]] = {}
    for name, kind in _ROW_NUMBERS.items():
        of_rows = getattr(answer, name).astype(kind.wire, copy=False)
        first = of_rows[0] if len(of_rows) else kind.least
        numbers[name] = int(first) if (of_rows == first).all() else of_rows
    return numbers


def _number_or_bytes(numbers: int | npt.NDArray[Any]) -> int | bytes:
    return numbers if isinstance(numbers, int) else numbers.tobytes()


def _decode_rows(data: bytes) -> AnswerBlock:
    rows = _DECODER.decode(decode_frame(_KIND, data))
    if rows.head.failure:
        return _failed(rows.head)
    names = _require_measures(rows.measures)
    counts = np.frombuffer(rows.breach_counts, _COUNT)
    shape = (len(names), n := len(counts))
    values = np.frombuffer(rows.values, _VALUE).reshape(shape)
    codes = None if rows.outcomes is None else np.frombuffer(rows.outcomes, _CODE).reshape(shape)
    _require_numbers(values, codes)
    outcomes = np.zeros(shape, _CODE) if codes is None else codes
    row_numbers = {
        name: one if isinstance(one, int) else np.frombuffer(one, kind.wire)
        for (name, kind), one in zip(_ROW_NUMBERS.items(), rows.row_numbers, strict=True)
    }
    answer = AnswerBlock(
        head=rows.head,
        decisions=np.frombuffer(rows.decisions, _CODE),
        breach_counts=counts,
        columns=dict(zip(names, map(MeasureColumn, values, outcomes), strict=True)),
        errors=rows.errors,
        breaches=rows.breaches,
        gaps=rows.gaps,
        # A row without an id has an error, which is reported by its row.
        portfolio_ids=cast("list[str]", rows.portfolio_ids),
        input_hashes=rows.input_hashes,
        data_quality=rows.data_quality,
        **_read_row_numbers(row_numbers, n),
    )
    lengths = {len(answer.decisions), len(rows.portfolio_ids) or n, len(rows.input_hashes) or n}
    by_row = chain(rows.errors, rows.breaches, rows.gaps, rows.data_quality)
    if lengths != {n} or not all(0 <= row < n for row in by_row):
        raise DecodeError(f"Not a valid {_KIND}: its columns differ in length.")
    return _require_head(answer)


def _struct(**fields: pa.DataType) -> pa.StructType:
    return pa.struct(list(fields.items()))


_TEXT, _NUMBER = pa.string(), pa.float64()
BREACH_TYPE = _struct(
    limit=_TEXT,
    measure=_TEXT,
    observed=_NUMBER,
    threshold=_NUMBER,
    unit=_TEXT,
    utilisation=_NUMBER,
    severity=_TEXT,
    contributors=pa.list_(_struct(instrument=_TEXT, amount=_NUMBER, share=_NUMBER)),
    scenarios=pa.list_(_struct(observation=pa.int64(), date=pa.date32(), pnl=_NUMBER)),
)
_GAP_TYPE = _struct(limit=_TEXT, measure=_TEXT, reason=_TEXT, missing_data=_TEXT)
_FINDING_TYPE = _struct(kind=_TEXT, instrument=_TEXT, detail=_TEXT)
_ERROR_TYPE = _struct(code=_TEXT, message=_TEXT, field=_TEXT, remedy=_TEXT)
_LIMIT_TYPE = _struct(
    limit=_TEXT,
    measure=_TEXT,
    observed=_NUMBER,
    warn=_NUMBER,
    hard=_NUMBER,
    unit=_TEXT,
    utilisation=_NUMBER,
    severity=_TEXT,
)
_HEADROOM_TYPE = _struct(
    instrument=_TEXT, buy=_NUMBER, sell=_NUMBER, buy_bound_by=_TEXT, sell_bound_by=_TEXT
)
EXPLANATION_TYPE = _struct(
    limits=pa.list_(_LIMIT_TYPE),
    headroom=pa.list_(_HEADROOM_TYPE),
    not_bounded=pa.list_(_TEXT),
)
#: the fields of a breach that are never null
_BREACH_FIELDS = ("limit", "measure", "observed", "threshold", "unit", "severity")


def encode_columns(answer: AnswerBlock) -> bytes:
    """Return `answer` as an Arrow IPC stream; empty columns are left out."""
    n, measured = len(answer), list(answer.columns.values())
    columns: dict[str, pa.Array] = {
        "decision": pa.array(answer.decisions),
        "breach_count": pa.array(answer.breach_counts),
        **{f"value:{index}": pa.array(column.values) for index, column in enumerate(measured)},
    }
    if _has_outcomes(answer):
        for index, column in enumerate(measured):
            columns[f"outcome:{index}"] = pa.array(column.outcomes)
    for name, rows, kind in (
        ("error", answer.errors, _ERROR_TYPE),
        ("breaches", answer.breaches, pa.list_(BREACH_TYPE)),
        ("not_evaluated", answer.gaps, pa.list_(_GAP_TYPE)),
        ("explanation", answer.explanations, EXPLANATION_TYPE),
        ("data_quality", answer.data_quality, pa.list_(_FINDING_TYPE)),
    ):
        if rows:
            columns[name] = _cells(rows, n, kind)
    for name, texts in (
        ("portfolio_id", answer.portfolio_ids),
        ("input_hash", answer.input_hashes),
    ):
        if texts:
            columns[name] = pa.array(texts, _TEXT)
    same = {}
    for name, numbers in _row_numbers(answer).items():
        if isinstance(numbers, int):
            same[name] = numbers
        else:
            columns[name] = pa.array(numbers)
    metadata = {
        "head": msgspec.json.encode(answer.head).decode(),
        "measures": msgspec.json.encode(list(answer.columns)).decode(),
        "same_in_all_rows": msgspec.json.encode(same).decode(),
    }
    return encode_batch(pa.record_batch(columns), _KIND, metadata)


def _cells(rows: Mapping[int, Any], n: int, kind: pa.DataType) -> pa.Array:
    cells = [msgspec.to_builtins(rows.get(row), builtin_types=(date,)) for row in range(n)]
    return pa.array(cells, kind)


def _decode_columns(data: bytes) -> AnswerBlock:
    batch, metadata = decode_batch(data, _KIND)
    head = msgspec.json.decode(metadata["head"], type=AnswerHead)
    if head.failure:
        return _failed(head)
    same = msgspec.json.decode(metadata["same_in_all_rows"], type=dict[str, int])
    varied = {
        name: _numbers(batch, name, pa.from_numpy_dtype(kind.wire))
        for name, kind in _ROW_NUMBERS.items()
        if name not in same
    }
    answer = AnswerBlock(
        head=head,
        decisions=_numbers(batch, "decision", pa.int8()),
        breach_counts=_numbers(batch, "breach_count", pa.int32()),
        columns=_read_measures(batch, metadata["measures"]),
        errors=msgspec.convert(_rows_of(batch, "error"), dict[int, ReportError]),
        breaches=_read_breaches(batch),
        gaps=msgspec.convert(_rows_of(batch, "not_evaluated"), dict[int, list[NotEvaluated]]),
        portfolio_ids=_texts(batch, "portfolio_id"),
        input_hashes=_texts(batch, "input_hash"),
        explanations=_read_explanations(batch),
        data_quality=msgspec.convert(
            _rows_of(batch, "data_quality"), dict[int, tuple[DataFinding, ...]]
        ),
        **_read_row_numbers({**varied, **same}, len(batch)),
    )
    return _require_head(answer)


def _read_measures(batch: pa.RecordBatch, measures: str) -> dict[str, MeasureColumn]:
    names = _parse_measures(measures)
    has_outcomes, fine = "outcome:0" in batch.schema.names, np.zeros(len(batch), _CODE)
    columns = {}
    for index, name in enumerate(names):
        values = _numbers(batch, f"value:{index}", _NUMBER)
        outcomes = _numbers(batch, f"outcome:{index}", pa.int8()) if has_outcomes else None
        _require_numbers(values, outcomes)
        columns[name] = MeasureColumn(values, fine if outcomes is None else outcomes)
    return columns


@lru_cache(maxsize=256)
def _parse_measures(text: str) -> tuple[str, ...]:
    return _require_measures(msgspec.json.decode(text, type=tuple[str, ...]))


def _numbers(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> npt.NDArray[Any]:
    column = _require_type(batch.column(name), name, kind)
    if column.null_count:
        raise DecodeError(f"Not a valid {_KIND}: {name} has nulls.")
    numbers: npt.NDArray[Any] = column.to_numpy()
    return numbers


def _require_type(column: pa.Array, name: str, kind: pa.DataType) -> pa.Array:
    if column.type != kind:
        raise DecodeError(f"Not a valid {_KIND}: {name} has the type {column.type}, not {kind}.")
    return column


def _texts(batch: pa.RecordBatch, name: str) -> list[Any]:
    return batch.column(name).to_pylist() if name in batch.schema.names else []


def _rows_of(batch: pa.RecordBatch, name: str) -> dict[int, Any]:
    """Return the cells that are not null, by row."""
    return {row: cell for row, cell in enumerate(_texts(batch, name)) if cell is not None}


def _read_breaches(batch: pa.RecordBatch) -> Mapping[int, Sequence[Breach]]:
    if "breaches" not in batch.schema.names:
        return {}
    column = _require_type(batch.column("breaches"), "breaches", pa.list_(BREACH_TYPE))
    breaches = column.flatten()
    contributors, scenarios = breaches.field("contributors"), breaches.field("scenarios")
    parts, outcomes = contributors.flatten(), scenarios.flatten()
    required = [breaches, contributors, parts, scenarios, outcomes]
    required += [parts.field("instrument"), parts.field("amount")]
    required += [outcomes.field("observation"), outcomes.field("pnl")]
    required += map(breaches.field, _BREACH_FIELDS)
    if any(array.null_count for array in required):
        raise DecodeError(f"Not a valid {_KIND}: a breach lacks a required field.")
    return BreachColumn(column)


class BreachColumn(Mapping[int, Sequence[Breach]]):
    """The breaches of each row that has any; a row's objects are made when it is read."""

    def __init__(self, column: pa.ListArray) -> None:
        self.column = column

    def __getitem__(self, row: int) -> list[Breach]:
        breaches = self.column[row].as_py()
        if breaches is None:
            raise KeyError(row)
        return msgspec.convert(breaches, list[Breach])

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self.column.is_valid().to_numpy(zero_copy_only=False)).tolist())

    def __len__(self) -> int:
        return len(self.column) - int(self.column.null_count)


def breach_column(answer: AnswerBlock) -> pa.ListArray:
    """Return the breaches of each row as Arrow, null for a row without any."""
    if isinstance(answer.breaches, BreachColumn):
        return answer.breaches.column
    if not answer.breaches:
        return pa.nulls(len(answer), pa.list_(BREACH_TYPE))
    return _cells(answer.breaches, len(answer), pa.list_(BREACH_TYPE))


def _read_explanations(batch: pa.RecordBatch) -> dict[int, Explanation]:
    if "explanation" not in batch.schema.names:
        return {}
    _require_type(batch.column("explanation"), "explanation", EXPLANATION_TYPE)
    explanations = msgspec.convert(_rows_of(batch, "explanation"), dict[int, Explanation])
    for headroom in chain.from_iterable(one.headroom for one in explanations.values()):
        for amount, bound_by in (
            (headroom.buy, headroom.buy_bound_by),
            (headroom.sell, headroom.sell_bound_by),
        ):
            # An amount without the limit that bounds it would read as no limit at all.
            if (amount is None) is not (bound_by is None):
                raise DecodeError(f"Not a valid {_KIND}: headroom without its limit.")
            if amount is not None and not 0.0 <= amount < inf:
                raise DecodeError(f"Not a valid {_KIND}: headroom of {amount}.")
    return explanations
