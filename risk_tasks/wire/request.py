"""A block of checks on its way to a worker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.wire.arrow import codes_of, decode_batch, decoding, encode_batch
from risk_tasks.wire.documents import (
    limit_set_document,
    read_limit_set,
    read_settings,
    settings_document,
)

KIND = "risk.request"

_TAGS = pa.map_(pa.string(), pa.string())


def _schema(code: pa.DataType) -> pa.Schema:
    position = [("instrument", pa.dictionary(code, pa.string())), ("quantity", pa.float64())]
    return pa.schema(
        [
            ("portfolio_id", pa.string()),
            ("positions", pa.list_(pa.struct(position))),
            ("cash", pa.float64()),
            ("nav", pa.float64()),
            ("tags", _TAGS),
        ]
    )


#: instruments are coded in 16 bits where they fit: a sixth less to send
_NARROW, _WIDE = _schema(pa.int16()), _schema(pa.int32())
_MAX_NARROW = 1 << 15
_NARROW_FIELDS, _WIDE_FIELDS = (
    list(schema.field("positions").type.value_type) for schema in (_NARROW, _WIDE)
)

_TERMS = ("measures", "settings", "limits", "detail")


class Detail(StrEnum):
    """How much of an answer is wanted."""

    #: measures, decisions and the number of breaches
    SUMMARY = "summary"
    #: and the breaches, explained
    BREACHES = "breaches"
    #: and what a `RiskReport` holds besides
    REPORTS = "reports"
    #: and how much room the limits leave
    EXPLAINED = "explained"

    @property
    def is_whole(self) -> bool:
        """Whether reports are made of the answer."""
        return self in (Detail.REPORTS, Detail.EXPLAINED)

    @classmethod
    def of_reports(cls, explain: object) -> Detail:
        """Return what reports ask for; raises `InvalidSettingsError` for neither true nor false."""
        if not isinstance(explain, bool):
            raise InvalidSettingsError(f"{explain!r} is neither true nor false.", field="explain")
        return cls.EXPLAINED if explain else cls.REPORTS


@dataclass(frozen=True, slots=True)
class Terms:
    """What all checks of a block have in common."""

    measures: tuple[MeasureName, ...]
    settings: MeasureSettings
    #: limits that came with the request; None for those that are stamped at enqueue
    limits: LimitSet | None = None
    detail: Detail = Detail.REPORTS


@dataclass(frozen=True, slots=True, eq=False)
class RequestBlock:
    """P portfolios with N positions in CSR form, as they were sent: nothing is known to be valid.

    `offsets` (P + 1,) int64; `instrument` (N,) int32, places in `instrument_names`, -1 for null;
    `quantity` (N,) float64; `cash`, `nav` (P,), null for unknown; `tags` (P,), or empty where no
    portfolio has any.
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

    def __len__(self) -> int:
        return len(self.offsets) - 1


class _Places(dict[str, int]):
    """Places of names, in order of first appearance: each has one as soon as it is looked up."""

    def __missing__(self, name: str) -> int:
        place = self[name] = len(self)
        return place


def pack_portfolios(portfolios: Sequence[Portfolio], terms: Terms) -> RequestBlock:
    """Lay out `portfolios` as one block."""
    places = _Places()
    codes: list[int] = []
    quantities: list[float] = []
    offsets = [0]
    for portfolio in portfolios:
        codes += map(places.__getitem__, portfolio.positions)
        quantities += portfolio.positions.values()
        offsets.append(len(codes))
    return RequestBlock(
        terms=terms,
        portfolio_ids=pa.array([portfolio.id for portfolio in portfolios], pa.string()),
        offsets=np.array(offsets, dtype=np.int64),
        instrument=np.array(codes, dtype=np.int32),
        instrument_names=list(places),
        quantity=np.array(quantities, dtype=np.float64),
        cash=pa.array([portfolio.cash for portfolio in portfolios], pa.float64()),
        nav=pa.array([portfolio.nav for portfolio in portfolios], pa.float64()),
        tags=_unless_empty([portfolio.tags for portfolio in portfolios]),
    )


def encode_request(block: RequestBlock) -> bytes:
    """Return `block` as Arrow IPC bytes."""
    is_narrow = len(block.instrument_names) < _MAX_NARROW
    schema, fields = (_NARROW, _NARROW_FIELDS) if is_narrow else (_WIDE, _WIDE_FIELDS)
    unnamed = block.instrument < 0
    codes = block.instrument.astype(np.int16 if is_narrow else np.int32, copy=False)
    instrument = pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=unnamed if unnamed.any() else None),
        pa.array(block.instrument_names, pa.string()),
    )
    positions = pa.StructArray.from_arrays([instrument, pa.array(block.quantity)], fields=fields)
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
    terms = block.terms
    metadata = {
        "measures": _measures_text(terms.measures),
        "settings": _settings_text(terms.settings),
        "limits": json.dumps(limit_set_document(terms.limits)) if terms.limits else "",
        "detail": terms.detail.value,
    }
    return encode_batch(batch, KIND, metadata)


def decode_request(data: bytes) -> RequestBlock:
    """Return the block in `data`; raises `WireError` for anything that is none."""
    batch, metadata = decode_batch(data, KIND, (_NARROW, _WIDE))
    with decoding(KIND):
        positions = batch.column("positions")
        # Where the first portfolio begins is 0 in what clients send; Arrow allows any place.
        offsets = positions.offsets.to_numpy().astype(np.int64)
        flat = positions.values.slice(offsets[0], offsets[-1] - offsets[0])
        codes = flat.field("instrument")
        return RequestBlock(
            terms=_read_terms(metadata),
            portfolio_ids=batch.column("portfolio_id"),
            offsets=offsets - offsets[0],
            instrument=codes_of(codes.indices),
            instrument_names=codes.dictionary.to_pylist(),
            quantity=flat.field("quantity").to_numpy(zero_copy_only=False),
            cash=batch.column("cash"),
            nav=batch.column("nav"),
            tags=_read_tags(batch.column("tags")),
        )


@lru_cache(maxsize=256)
def _measures_text(names: tuple[MeasureName, ...]) -> str:
    return json.dumps([str(name) for name in names])


@lru_cache(maxsize=256)
def _settings_text(settings: MeasureSettings) -> str:
    return json.dumps(settings_document(settings))


def _read_terms(metadata: Mapping[str, str]) -> Terms:
    return _parse_terms(*(metadata.get(name) for name in _TERMS))


@lru_cache(maxsize=256)
def _parse_terms(*texts: str | None) -> Terms:
    """Remembered: the blocks of a call say the same, and most calls do."""
    metadata = {name: text for name, text in zip(_TERMS, texts, strict=True) if text is not None}
    with decoding("terms of a request"):
        return Terms(
            measures=parse_measures(json.loads(metadata["measures"])),
            settings=read_settings(json.loads(metadata["settings"])),
            limits=read_limit_set(json.loads(metadata["limits"])) if metadata["limits"] else None,
            detail=Detail(metadata["detail"]),
        )


def _read_tags(column: pa.MapArray) -> Sequence[Mapping[str, str]]:
    if column.null_count == len(column):
        return ()
    return _unless_empty([dict(pairs or ()) for pairs in column.to_pylist()])


def _unless_empty(tags: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    return tags if any(tags) else ()
