"""A request as one message of msgpack, in which a few checks are told at the least cost."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from risk_tasks.errors import DecodeError
from risk_tasks.wire.framing import decoding, framed, unframed
from risk_tasks.wire.request import KIND, RequestBlock, TurnMark, unless_empty
from risk_tasks.wire.terms import read_terms, write_terms

_QUANTITY = np.dtype("<f8")


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
    turns: list[TurnMark]


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Rows)
_TEXT, _FLOAT = pa.string(), pa.float64()


def encode_rows(block: RequestBlock) -> bytes:
    """Return `block` as msgpack."""
    rows = _Rows(
        write_terms(block.terms),
        block.portfolio_ids.to_pylist(),
        block.offsets.tolist(),
        block.instrument.tolist(),
        list(block.instrument_names),
        block.quantity.astype(_QUANTITY, copy=False).tobytes(),
        block.cash.to_pylist(),
        block.nav.to_pylist(),
        [dict(of_row) for of_row in block.tags],
        list(block.turns),
    )
    return framed(KIND, _ENCODER.encode(rows))


def decode_rows(data: bytes) -> RequestBlock:
    """Return the block in `data`; raises `WireError` for anything that is none."""
    with decoding(KIND):
        rows = _DECODER.decode(unframed(KIND, data))
        quantity = np.frombuffer(rows.quantity, _QUANTITY)
        _require_shape(rows, len(quantity))
        return RequestBlock(
            terms=read_terms(*rows.terms),
            portfolio_ids=pa.array(rows.portfolio_ids, _TEXT),
            offsets=np.array(rows.offsets, dtype=np.int64),
            instrument=np.array(rows.instrument, dtype=np.int32),
            instrument_names=rows.instrument_names,
            quantity=quantity,
            cash=pa.array(rows.cash, _FLOAT),
            nav=pa.array(rows.nav, _FLOAT),
            tags=unless_empty(rows.tags),
            turns=rows.turns,
        )


def _require_shape(rows: _Rows, n: int) -> None:
    """Refuse what kernels would read beyond the ends of. A few numbers are looked at in Python."""
    p, offsets, instrument = len(rows.portfolio_ids), rows.offsets, rows.instrument
    lengths = [len(rows.cash), len(rows.nav), len(rows.tags) or p, len(rows.turns) or p]
    if lengths != [p] * 4 or len(offsets) != p + 1:
        raise DecodeError("A row lacks what each of them has.")
    if offsets[0] != 0 or offsets[-1] != n or offsets != sorted(offsets):
        raise DecodeError("The rows do not follow each other.")
    last = len(rows.instrument_names) - 1
    if len(instrument) != n or (n and not -1 <= min(instrument) <= max(instrument) <= last):
        raise DecodeError("There are instruments beyond those that are named.")
