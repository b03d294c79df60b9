"""One record batch with text metadata, as Arrow IPC bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import DecodeError, VersionError
from risk_tasks.wire.framing import VERSION, decoding

#: made once: without it, Arrow reads the environment for each message
_OPTIONS = pa.ipc.IpcWriteOptions()


#: that a message of the IPC stream goes on, before how long it is
_CONTINUED = b"\xff\xff\xff\xff"


def is_arrow(data: bytes) -> bool:
    """Whether `data` begins as an IPC stream does."""
    return data.startswith(_CONTINUED)


def encode_batch(batch: pa.RecordBatch, kind: str, metadata: Mapping[str, str]) -> bytes:
    """Return `batch` as an IPC stream that says of what `kind` it is."""
    head = {"kind": kind, "version": VERSION, **metadata}
    batch = batch.replace_schema_metadata(head)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode_batch(
    data: bytes | str, kind: str, schemas: Collection[pa.Schema] = ()
) -> tuple[pa.RecordBatch, dict[str, str]]:
    """Return the batch and its metadata, after its kind, version, types and bounds are checked.

    Raises `VersionError` for another format and `DecodeError` for anything else.
    """
    with decoding(kind):
        reader = pa.ipc.open_stream(data)
        metadata = {
            key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()
        }
        if metadata.get("kind") != kind:
            raise DecodeError(f"Expected {kind}, got {metadata.get('kind')!r}.")
        if metadata.get("version") != VERSION:
            raise VersionError(f"{kind} of version {metadata.get('version')!r}, not {VERSION}.")
        if schemas and not any(reader.schema.equals(one, check_metadata=False) for one in schemas):
            raise DecodeError(f"{kind} has other columns than it should.")
        batch = reader.read_next_batch()
        batch.validate(full=True)
    return batch, metadata


def codes_of(indices: pa.Array) -> npt.NDArray[np.int32]:
    """Return the indices of a dictionary array of whatever width, -1 for null."""
    filled = (indices.fill_null(-1) if indices.null_count else indices).to_numpy()
    codes: npt.NDArray[np.int32] = filled.astype(np.int32, copy=False)
    return codes
