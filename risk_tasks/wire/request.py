"""A block of checks on its way to a worker: msgpack for few checks, Arrow for many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import DecodeError, InvalidSettingsError
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.wire.documents import (
    limit_set_document,
    read_limit_set,
    read_settings,
    settings_document,
)
from risk_tasks.wire.framing import (
    MAX_ROWS_CHECKS,
    MAX_ROWS_POSITIONS,
    decode_batch,
    decode_frame,
    decoding,
    encode_batch,
    encode_frame,
    is_arrow,
)

_KIND = "risk.request"


class Detail(StrEnum):
    """How much an answer holds; each level adds to the one before."""

    #: measures, decisions and the number of breaches
    SUMMARY = "summary"
    #: adds the breaches with their explanations
    BREACHES = "breaches"
    #: adds the rest of a `RiskReport`
    REPORTS = "reports"
    #: adds the headroom of the limits
    EXPLAINED = "explained"

    @property
    def has_reports(self) -> bool:
        """Whether reports can be made of the answer."""
        return self in (Detail.REPORTS, Detail.EXPLAINED)

    @classmethod
    def of_reports(cls, explain: object) -> Detail:
        """Return the detail of a request for reports.

        Raises `InvalidSettingsError` unless `explain` is a bool.
        """
        if not isinstance(explain, bool):
            raise InvalidSettingsError(
                f"Not a bool: {explain!r}; expected true or false.", field="explain"
            )
        return cls.EXPLAINED if explain else cls.REPORTS


@dataclass(frozen=True, slots=True)
class Terms:
    """The part of a request that all checks of a block share."""

    measures: tuple[MeasureName, ...]
    settings: MeasureSettings
    #: limits sent with the request; None where `enqueue` stamps a published limit set
    limits: LimitSet | None = None
    detail: Detail = Detail.REPORTS


class AttemptMark(NamedTuple):
    """The version of a live portfolio, and the number of the attempt that computes it."""

    version: int
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class RequestBlock:
    """P portfolios with N positions in CSR form, not validated.

    `offsets` (P + 1,) int64; `instrument` (N,) int32, indices into `instrument_names`, -1 for null;
    `quantity` (N,) float64; `cash`, `nav` (P,), null if unknown; `tags` (P,), or empty if no
    portfolio has tags; `attempts` (P,) for live portfolios, else empty.
    """

    terms: Terms
    portfolio_ids: pa.StringArray
    offsets: npt.NDArray[np.int64]
    instrument: npt.NDArray[np.int32]
    instrument_names: Sequence[str]
    quantity: npt.NDArray[np.float64]
    cash: pa.DoubleArray
    nav: pa.DoubleArray
    tags: Sequence[Mapping[str, str]]
    attempts: Sequence[AttemptMark] = ()

    def __len__(self) -> int:
        return len(self.offsets) - 1


class _Indices(dict[str, int]):
    """The index of each name, in order of first lookup."""

    def __missing__(self, name: str) -> int:
        index = self[name] = len(self)
        return index


def is_text(kind: pa.DataType) -> bool:
    """Whether `kind` is one of Arrow's types of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def pack_portfolios(
    portfolios: Sequence[Portfolio], terms: Terms, attempts: Sequence[AttemptMark] = ()
) -> RequestBlock:
    """Return `portfolios` as one block."""
    indices = _Indices()
    codes: list[int] = []
    quantities: list[float] = []
    offsets = [0]
    for portfolio in portfolios:
        codes += map(indices.__getitem__, portfolio.positions)
        quantities += portfolio.positions.values()
        offsets.append(len(codes))
    return RequestBlock(
        terms=terms,
        portfolio_ids=pa.array([portfolio.id for portfolio in portfolios], _TEXT),
        offsets=np.array(offsets, dtype=np.int64),
        instrument=np.array(codes, dtype=np.int32),
        instrument_names=list(indices),
        quantity=np.array(quantities, dtype=np.float64),
        cash=pa.array([portfolio.cash for portfolio in portfolios], _NUMBER),
        nav=pa.array([portfolio.nav for portfolio in portfolios], _NUMBER),
        tags=_unless_empty([portfolio.tags for portfolio in portfolios]),
        attempts=attempts,
    )


def _unless_empty(tags: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    return tags if any(tags) else ()


def encode_request(block: RequestBlock) -> bytes:
    """Return `block` as bytes, in the format that suits its size."""
    is_small = len(block) <= MAX_ROWS_CHECKS and len(block.quantity) <= MAX_ROWS_POSITIONS
    return encode_rows(block) if is_small else encode_columns(block)


def decode_request(data: bytes) -> RequestBlock:
    """Return the block in `data`, of either format; raises `WireError` for invalid bytes."""
    with decoding(_KIND):
        return _decode_columns(data) if is_arrow(data) else _decode_rows(data)


#: the texts of `_write_terms` in their order, by their names in the metadata of Arrow
_TERMS = ("measures", "settings", "limits", "detail")


def _write_terms(terms: Terms) -> tuple[str, str, str, str]:
    return (
        _measures_text(terms.measures),
        _settings_text(terms.settings),
        json.dumps(limit_set_document(terms.limits)) if terms.limits else "",
        terms.detail.value,
    )


@lru_cache(maxsize=256)
def _measures_text(names: tuple[MeasureName, ...]) -> str:
    return json.dumps([str(name) for name in names])


@lru_cache(maxsize=256)
def _settings_text(settings: MeasureSettings) -> str:
    return json.dumps(settings_document(settings))


@lru_cache(maxsize=256)
def _read_terms(measures: str, settings: str, limits: str, detail: str) -> Terms:
    """Return the terms of four texts. Cached: the blocks of a call share their terms."""
    return Terms(
        measures=parse_measures(json.loads(measures)),
        settings=read_settings(json.loads(settings)),
        limits=read_limit_set(json.loads(limits)) if limits else None,
        detail=Detail(detail),
    )


class _Rows(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    terms: tuple[str, str, str, str]
    portfolio_ids: list[str | None]
    offsets: list[int]
    instrument: list[int]
    instrument_names: list[str]
    quantity: bytes
    cash: list[float | None]
    nav: list[float | None]
    tags: list[dict[str, str]]
    attempts: list[AttemptMark]


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Rows)
_QUANTITY = np.dtype("<f8")
_TEXT, _NUMBER = pa.string(), pa.float64()


def encode_rows(block: RequestBlock) -> bytes:
    """Return `block` as msgpack."""
    rows = _Rows(
        _write_terms(block.terms),
        block.portfolio_ids.to_pylist(),
        block.offsets.tolist(),
        block.instrument.tolist(),
        list(block.instrument_names),
        block.quantity.astype(_QUANTITY, copy=False).tobytes(),
        block.cash.to_pylist(),
        block.nav.to_pylist(),
        [dict(of_row) for of_row in block.tags],
        list(block.attempts),
    )
    return encode_frame(_KIND, _ENCODER.encode(rows))


def _decode_rows(data: bytes) -> RequestBlock:
    rows = _DECODER.decode(decode_frame(_KIND, data))
    quantity = np.frombuffer(rows.quantity, _QUANTITY)
    _require_shape(rows, len(quantity))
    return RequestBlock(
        terms=_read_terms(*rows.terms),
        portfolio_ids=pa.array(rows.portfolio_ids, _TEXT),
        offsets=np.array(rows.offsets, dtype=np.int64),
        instrument=np.array(rows.instrument, dtype=np.int32),
        instrument_names=rows.instrument_names,
        quantity=quantity,
        cash=pa.array(rows.cash, _NUMBER),
        nav=pa.array(rows.nav, _NUMBER),
        tags=_unless_empty(rows.tags),
        attempts=rows.attempts,
    )


def _require_shape(rows: _Rows, n: int) -> None:
    """Refuse indices that kernels would follow out of bounds; for few numbers Python is fast."""
    p, offsets, instrument = len(rows.portfolio_ids), rows.offsets, rows.instrument
    lengths = [len(rows.cash), len(rows.nav), len(rows.tags) or p, len(rows.attempts) or p]
    if lengths != [p] * 4 or len(offsets) != p + 1:
        raise DecodeError(f"Not a valid {_KIND}: its columns differ in length.")
    if offsets[0] != 0 or offsets[-1] != n or offsets != sorted(offsets):
        raise DecodeError(f"Not a valid {_KIND}: its offsets do not ascend from 0 to {n}.")
    last = len(rows.instrument_names) - 1
    if len(instrument) != n or (n and not -1 <= min(instrument) <= max(instrument) <= last):
        raise DecodeError(f"Not a valid {_KIND}: an instrument index is beyond the names.")


def _schema(code: pa.DataType) -> pa.Schema:
    position = [("instrument", pa.dictionary(code, _TEXT)), ("quantity", _NUMBER)]
    return pa.schema(
        [
            ("portfolio_id", _TEXT),
            ("positions", pa.list_(pa.struct(position))),
            ("cash", _NUMBER),
            ("nav", _NUMBER),
            ("tags", _TAGS),
        ]
    )


_TAGS = pa.map_(_TEXT, _TEXT)
#: with 16-bit instead of 32-bit instrument codes a message is a sixth smaller
_NARROW, _WIDE = _schema(pa.int16()), _schema(pa.int32())
_MAX_NARROW = 1 << 15
_ATTEMPTS = pa.field("turn", pa.struct([("version", pa.int64()), ("number", pa.int64())]))
_SCHEMAS = (_NARROW, _WIDE, _NARROW.append(_ATTEMPTS), _WIDE.append(_ATTEMPTS))


def encode_columns(block: RequestBlock) -> bytes:
    """Return `block` as an Arrow IPC stream."""
    is_narrow = len(block.instrument_names) < _MAX_NARROW
    schema = _NARROW if is_narrow else _WIDE
    is_null = block.instrument < 0
    codes = block.instrument.astype(np.int16 if is_narrow else np.int32, copy=False)
    instrument = pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=is_null if is_null.any() else None),
        pa.array(block.instrument_names, _TEXT),
    )
    positions = pa.StructArray.from_arrays(
        [instrument, pa.array(block.quantity)],
        fields=list(schema.field("positions").type.value_type),
    )
    batch = pa.record_batch(
        [
            block.portfolio_ids,
            pa.ListArray.from_arrays(pa.array(block.offsets.astype(np.int32)), positions),
            block.cash,
            block.nav,
            pa.array([list(of_row.items()) for of_row in block.tags], _TAGS)
            if block.tags
            else pa.nulls(len(block), _TAGS),
        ],
        schema=schema,
    )
    if block.attempts:
        attempts = [attempt._asdict() for attempt in block.attempts]
        batch = batch.append_column(_ATTEMPTS, pa.array(attempts, _ATTEMPTS.type))
    return encode_batch(batch, _KIND, dict(zip(_TERMS, _write_terms(block.terms), strict=True)))


def _decode_columns(data: bytes) -> RequestBlock:
    batch, metadata = decode_batch(data, _KIND, _SCHEMAS)
    positions = batch.column("positions")
    # Clients send offsets that start at 0; Arrow allows any start.
    offsets = positions.offsets.to_numpy().astype(np.int64)
    flat = positions.values.slice(offsets[0], offsets[-1] - offsets[0])
    codes = flat.field("instrument")
    return RequestBlock(
        terms=_read_terms(*(metadata[name] for name in _TERMS)),
        portfolio_ids=batch.column("portfolio_id"),
        offsets=offsets - offsets[0],
        instrument=codes_of(codes.indices),
        instrument_names=codes.dictionary.to_pylist(),
        quantity=flat.field("quantity").to_numpy(zero_copy_only=False),
        cash=batch.column("cash"),
        nav=batch.column("nav"),
        tags=_read_tags(batch.column("tags")),
        attempts=_read_attempts(batch),
    )


def codes_of(indices: pa.Array) -> npt.NDArray[np.int32]:
    """Return the indices of a dictionary array as int32, -1 for null."""
    filled = (indices.fill_null(-1) if indices.null_count else indices).to_numpy()
    codes: npt.NDArray[np.int32] = filled.astype(np.int32, copy=False)
    return codes


def _read_tags(column: pa.MapArray) -> Sequence[Mapping[str, str]]:
    if column.null_count == len(column):
        return ()
    return _unless_empty([dict(pairs or ()) for pairs in column.to_pylist()])


def _read_attempts(batch: pa.RecordBatch) -> Sequence[AttemptMark]:
    if _ATTEMPTS.name not in batch.schema.names:
        return ()
    column = batch.column(_ATTEMPTS.name)
    versions, numbers = column.field("version"), column.field("number")
    if column.null_count or versions.null_count or numbers.null_count:
        raise DecodeError(f"Not a valid {_KIND}: a live portfolio has no attempt number.")
    return list(map(AttemptMark, versions.to_pylist(), numbers.to_pylist()))
