"""Read Arrow IPC streams from untrusted sources, and write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pyarrow as pa

from risk_tasks.errors import InvalidTableError
from risk_tasks.wire.request import is_text

#: `Message.header_type` of a dictionary batch, which contains its record batch as a nested table
_DICTIONARY_BATCH = 2
#: numbers of fields in the flatbuffers of Arrow: Message.header_type, Message.header,
#: DictionaryBatch.data, RecordBatch.compression
_TYPE, _HEADER, _DATA, _COMPRESSION = 1, 2, 1, 3


def read_streams(body: bytes, at_most: int) -> list[pa.Table]:
    """Return the tables of 1 to `at_most` consecutive Arrow IPC streams.

    Raises `InvalidTableError` for invalid streams, for compressed buffers, which may expand a
    thousandfold, and for columns other than strings, numbers and dates: some types need no bytes
    per row, so that the number of rows would be unbounded.
    """
    source = pa.BufferReader(body)
    tables: list[pa.Table] = []
    try:
        while source.tell() < len(body) and len(tables) < at_most:
            start = source.tell()
            _refuse_compression(source)
            source.seek(start)
            reader = pa.ipc.open_stream(source)
            _require_plain(reader.schema)
            table = reader.read_all()
            table.validate(full=True)
            tables.append(table)
        rest = len(body) - source.tell()
    except InvalidTableError:
        raise
    # Damaged bytes may raise any error in the reader of Arrow.
    except Exception as error:
        raise _invalid(f"The body is not a valid Arrow stream: {error}.") from None
    if not tables or rest:
        raise _invalid(
            f"The body has {len(tables)} Arrow streams and {rest} further bytes: "
            f"expected 1 to {at_most} streams."
        )
    return tables


def write_streams(tables: Sequence[pa.Table]) -> bytes:
    """Return the tables as consecutive Arrow IPC streams."""
    sink = pa.BufferOutputStream()
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _require_plain(schema: pa.Schema) -> None:
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if not (
            is_text(kind) or is_number or pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        ):
            raise InvalidTableError(
                f"Column {field.name!r} has type {field.type}: expected strings, numbers or dates, "
                "plain or dictionary-encoded.",
                field=field.name,
                remedy="Convert the column, or leave it out.",
            )


def _refuse_compression(source: pa.NativeFile) -> None:
    """Raise if the metadata of a message declares compressed buffers."""
    while (message := _next(source)) is not None:
        if message.type != "schema" and _is_compressed(message.metadata.to_pybytes()):
            raise _invalid("The stream has compressed buffers: expected uncompressed ones.")


def _next(source: pa.NativeFile) -> pa.Message | None:
    """Return the next message, or None at the end of the stream."""
    try:
        return pa.ipc.read_message(source)
    except EOFError:
        return None


def _is_compressed(metadata: bytes) -> bool:
    message = struct.unpack_from("<I", metadata, 0)[0]
    header = _table_at(metadata, message, _HEADER)
    kind_offset = _field(metadata, message, _TYPE)
    if header is None or kind_offset is None:
        return True  # not written by Arrow
    if metadata[kind_offset] == _DICTIONARY_BATCH:
        header = _table_at(metadata, header, _DATA)
        if header is None:
            return True
    return _field(metadata, header, _COMPRESSION) is not None


def _table_at(data: bytes, table: int, number: int) -> int | None:
    """Return the offset of the table that field `number` refers to, None if it is absent."""
    offset = _field(data, table, number)
    return None if offset is None else offset + int(struct.unpack_from("<I", data, offset)[0])


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return the offset of field `number` in the flatbuffers table at `table`, None if absent."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    size = int(struct.unpack_from("<H", data, vtable)[0])
    entry = 4 + 2 * number
    offset = int(struct.unpack_from("<H", data, vtable + entry)[0]) if entry < size else 0
    return table + offset if offset else None


def _invalid(message: str) -> InvalidTableError:
    return InvalidTableError(message, remedy="Send uncompressed Arrow IPC streams.")
