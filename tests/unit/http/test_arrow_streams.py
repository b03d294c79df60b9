"""Arrow streams from untrusted sources: valid ones are read, all others refused."""

from __future__ import annotations

from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidTableError
from risk_tasks.http.arrow_streams import read_streams, write_streams

TABLE = pa.table(
    {
        "portfolio_id": pa.array(["a", "a", "b"]).dictionary_encode(),
        "instrument": ["AAPL", "XOM", None],
        "quantity": [1.0, -2.0, 3.5],
    }
)


def stream(table: pa.Table, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue().to_pybytes()


def test_one_or_more_streams_are_read_as_written():
    about = pa.table({"portfolio_id": ["a"], "nav": [1.0]})

    assert read_streams(stream(TABLE), 2)[0].equals(TABLE)
    first, second = read_streams(write_streams([TABLE, about]), 2)
    assert first.equals(TABLE)
    assert second.equals(about)


def test_too_many_or_no_streams_are_refused():
    with pytest.raises(InvalidTableError, match="1 to 1"):
        read_streams(write_streams([TABLE, TABLE]), 1)
    with pytest.raises(InvalidTableError, match="1 to 2"):
        read_streams(b"", 2)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("table", [TABLE, TABLE.select(["quantity"])])
def test_compressed_buffers_are_refused(codec, table):
    """Also where the first batch is a dictionary."""
    with pytest.raises(InvalidTableError, match="compressed"):
        read_streams(stream(table, compression=codec), 2)


def test_compressed_buffers_in_a_second_stream_are_refused():
    with pytest.raises(InvalidTableError, match="compressed"):
        read_streams(stream(TABLE) + stream(TABLE, compression="zstd"), 2)


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(1_000_000),
        pa.array([{}], pa.struct([])),
        pa.array([[1.0]]),
        pa.array([True]),
        pa.array([b"x"]),
    ],
)
def test_unsupported_column_types_are_refused(column):
    with pytest.raises(InvalidTableError) as caught:
        read_streams(stream(pa.table({"odd": column})), 1)

    assert caught.value.field == "odd"


@given(data=st.data())
def test_damaged_bytes_raise_nothing_but_invalid_table_errors(data):
    whole = bytearray(stream(TABLE))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])

    with suppress(InvalidTableError):
        assert all(isinstance(table, pa.Table) for table in read_streams(cut, 2))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(noise):
    with pytest.raises(InvalidTableError):
        read_streams(noise, 2)
