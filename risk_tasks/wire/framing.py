"""The envelope of every message: its kind, its version, and the errors of damaged bytes.

A message with few rows is msgpack behind a line of text; one with many rows is an Arrow IPC stream.
Only the functions of Arrow streams import Arrow: the autoscaler reads no market and no block, and
its container has no Arrow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from risk_tasks.errors import DecodeError, VersionError, WireError

if TYPE_CHECKING:
    import pyarrow as pa

#: the format of every message in this package; a reader refuses any other
VERSION = "2"
#: up to these sizes msgpack is faster than Arrow, whose cost hardly depends on the number of rows
MAX_ROWS_CHECKS, MAX_ROWS_POSITIONS = 256, 8_192

#: the continuation marker that an Arrow IPC stream starts with
_CONTINUATION = b"\xff\xff\xff\xff"


@contextmanager
def decoding(kind: str) -> Iterator[None]:
    """Turn every error that damaged bytes cause in Arrow, JSON or the model into `DecodeError`."""
    try:
        yield
    except WireError:
        raise
    except Exception as error:
        raise DecodeError(f"Not a valid {kind}: {error}") from error


def encode_frame(kind: str, body: bytes) -> bytes:
    """Return `body` after a line with its kind and version."""
    return f"{kind}/{VERSION}\n".encode() + body


def decode_frame(kind: str, data: bytes) -> bytes:
    """Return the body of a frame of `kind`; raises `VersionError` or `DecodeError` otherwise."""
    line = f"{kind}/{VERSION}\n".encode()
    if data.startswith(line):
        return data[len(line) :]
    found, _, version = data[:64].partition(b"\n")[0].partition(b"/")
    _require_format(kind, found.decode(errors="replace"), version.decode(errors="replace"))
    raise DecodeError(f"Not a valid {kind}: it starts with {data[:16]!r}.")


def is_arrow(data: bytes) -> bool:
    """Whether `data` starts as an Arrow IPC stream does."""
    return data.startswith(_CONTINUATION)


def encode_batch(batch: pa.RecordBatch, kind: str, metadata: Mapping[str, str]) -> bytes:
    """Return `batch` as an Arrow IPC stream with its kind, its version and `metadata`."""
    import pyarrow as pa

    batch = batch.replace_schema_metadata({"kind": kind, "version": VERSION, **metadata})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_write_options()) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


@cache
def _write_options() -> pa.ipc.IpcWriteOptions:
    """Return the options of every stream; without them, Arrow reads the environment each time."""
    import pyarrow as pa

    return pa.ipc.IpcWriteOptions()


def decode_batch(
    data: bytes | str, kind: str, schemas: Collection[pa.Schema] = ()
) -> tuple[pa.RecordBatch, dict[str, str]]:
    """Return the batch and its metadata, after its kind, version, schema and bounds are checked.

    `schemas` are the schemas that are accepted; none accepts any. Raises `VersionError` for another
    version and `DecodeError` for anything else.
    """
    import pyarrow as pa

    with decoding(kind):
        reader = pa.ipc.open_stream(data)
        metadata = {
            key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()
        }
        _require_format(kind, metadata.get("kind"), metadata.get("version"))
        if schemas and not any(reader.schema.equals(one, check_metadata=False) for one in schemas):
            raise DecodeError(f"Unknown columns in {kind}: {reader.schema.names}.")
        batch = reader.read_next_batch()
        batch.validate(full=True)
    return batch, metadata


def _require_format(kind: str, found: str | None, version: str | None) -> None:
    if found != kind:
        raise DecodeError(f"Unknown kind of message {found!r}: expected {kind}.")
    if version != VERSION:
        raise VersionError(f"Unknown version {version!r} of {kind}: expected {VERSION!r}.")
