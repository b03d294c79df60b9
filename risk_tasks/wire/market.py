"""A market as two messages: the panel of returns, and the marks, which change far more often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime

import msgspec
import numpy as np
import pyarrow as pa

from risk_tasks.errors import DecodeError
from risk_tasks.model.calendar import Align
from risk_tasks.model.market import EarlierPrice, FloatArray2D, MarketSnapshot
from risk_tasks.model.quality import DataFinding
from risk_tasks.wire.documents import read_scenarios, scenarios_document
from risk_tasks.wire.framing import decode_batch, decoding, encode_batch

PANEL_KIND = "risk.panel"
MARKS_KIND = "risk.marks"


def encode_panel(snapshot: MarketSnapshot) -> bytes:
    """Return instruments, returns, covariance, dates and calendars; a row per instrument."""
    columns = {"instrument": list(snapshot.instruments), "returns": _rows(snapshot.returns.T)}
    if snapshot.covariance is not None:
        columns["covariance"] = _rows(snapshot.covariance)
    batch = pa.record_batch(columns)
    metadata = {"n_observations": str(snapshot.n_observations)}
    if snapshot.dates is not None:
        metadata["dates"] = json.dumps([day.isoformat() for day in snapshot.dates])
    if snapshot.align != Align.DROP or snapshot.row_days != 1 or snapshot.window_days is not None:
        metadata["calendar"] = msgspec.json.encode(_Calendar.of(snapshot)).decode()
    return encode_batch(batch, PANEL_KIND, metadata)


class _Calendar(msgspec.Struct, omit_defaults=True):
    """How the rows of a panel are to be read."""

    align: Align = Align.DROP
    window_days: int | None = None
    max_gap_days: int | None = None
    first_dates: list[date] | None = None
    row_days: int = 1

    @classmethod
    def of(cls, snapshot: MarketSnapshot) -> _Calendar:
        first = None if snapshot.first_dates is None else list(snapshot.first_dates)
        return cls(
            Align(snapshot.align),
            snapshot.window_days,
            snapshot.max_gap_days,
            first,
            snapshot.row_days,
        )


def encode_marks(snapshot: MarketSnapshot) -> bytes:
    """Return prices, time, scenarios, tags and findings, with the id of their panel."""
    batch = pa.record_batch({"price": pa.array(snapshot.prices)})
    metadata = {
        "as_of": snapshot.as_of.isoformat(),
        "panel_id": snapshot.panel_id,
        "scenarios": json.dumps(scenarios_document(snapshot.scenarios)),
    }
    if snapshot.tags:
        tags = {instrument: dict(carried) for instrument, carried in snapshot.tags.items()}
        metadata["tags"] = json.dumps(tags)
    if snapshot.findings:
        metadata["findings"] = msgspec.json.encode(snapshot.findings).decode()
    if snapshot.earlier_prices:
        earlier = dict(snapshot.earlier_prices)
        metadata["earlier_prices"] = msgspec.json.encode(earlier).decode()
    return encode_batch(batch, MARKS_KIND, metadata)


def decode_market(marks: bytes | str, panel: bytes | str, market_id: str) -> MarketSnapshot:
    """Return the snapshot; raises `DecodeError` if `market_id` is not the hash of its content."""
    mark_rows, metadata = decode_batch(marks, MARKS_KIND)
    panel_rows, panel_metadata = decode_batch(panel, PANEL_KIND)
    with decoding("market"):
        n_observations = int(panel_metadata["n_observations"])
        by_instrument = panel_rows.column("returns").flatten().to_numpy()
        snapshot = MarketSnapshot(
            datetime.fromisoformat(metadata["as_of"]),
            panel_rows.column("instrument").to_pylist(),
            mark_rows.column("price").to_numpy(),
            by_instrument.reshape(panel_rows.num_rows, n_observations).T,
            scenarios=read_scenarios(json.loads(metadata["scenarios"])),
            covariance=_covariance(panel_rows),
            dates=_read_dates(panel_metadata.get("dates")),
            tags=json.loads(metadata.get("tags", "{}")),
            findings=_read_findings(metadata),
            earlier_prices=msgspec.json.decode(
                metadata.get("earlier_prices", "{}"), type=dict[str, EarlierPrice]
            ),
            **msgspec.structs.asdict(
                msgspec.json.decode(panel_metadata.get("calendar", "{}"), type=_Calendar)
            ),
        )
    if snapshot.id != market_id:
        raise DecodeError(f"Market {market_id} holds the content of {snapshot.id}.")
    return snapshot


def decode_findings(marks: bytes | str) -> tuple[DataFinding, ...]:
    """Return the findings of the market of these marks."""
    _, metadata = decode_batch(marks, MARKS_KIND)
    with decoding("market"):
        return _read_findings(metadata)


def _read_findings(metadata: Mapping[str, str]) -> tuple[DataFinding, ...]:
    text = metadata.get("findings", "[]")
    return msgspec.json.decode(text, type=tuple[DataFinding, ...])


def _rows(numbers: FloatArray2D) -> pa.FixedSizeListArray:
    """Return a matrix of shape (n, m) as n lists of m numbers."""
    n, m = numbers.shape
    if m == 0:
        return pa.nulls(n, pa.list_(pa.float64(), 0))
    flat = pa.array(np.ascontiguousarray(numbers).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(pa.float64(), m))


def _covariance(panel_rows: pa.RecordBatch) -> FloatArray2D | None:
    if "covariance" not in panel_rows.schema.names:
        return None
    n, flat = panel_rows.num_rows, panel_rows.column("covariance").flatten()
    covariance: FloatArray2D = flat.to_numpy().reshape(n, n)
    return covariance


def _read_dates(text: str | None) -> list[date] | None:
    return None if text is None else [date.fromisoformat(day) for day in json.loads(text)]
