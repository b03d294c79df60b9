"""An entry decodes to what was encoded, or to None; never to anything else."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.cache.entry import FORMAT_VERSION, Entry, decode_entry, encode_entry

ENTRIES = st.builds(
    Entry,
    value=st.binary(max_size=200),
    expires_ms=st.integers(0, 2**64 - 1),
    cost_s=st.floats(0, 1e6, width=32),
)
KEY = b"a key"


@given(key=st.binary(max_size=40), entry=ENTRIES)
def test_an_entry_is_read_as_it_was_written(key, entry):
    assert decode_entry(key, encode_entry(key, entry)) == entry


def test_the_bytes_of_an_entry_are_these():
    """A change of these bytes needs a new format version."""
    assert encode_entry(b"key", Entry(b"value", 1_700_000_000_000, 0.25)).hex() == (
        "525443010000018bcfe568003e800000f210822176616c7565"
    )
    assert FORMAT_VERSION == 1


@pytest.mark.parametrize("value", [b"", b"\x00" * 40, b"a number and a status"])
def test_every_changed_bit_is_detected(value):
    """In the head, in the checksum and in the value."""
    data = encode_entry(KEY, Entry(value, 1_700_000_000_000, 0.2))

    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode_entry(KEY, bytes(damaged)) is None, bit


@given(entry=ENTRIES, data=st.data())
def test_a_truncated_or_lengthened_entry_is_rejected(entry, data):
    whole = encode_entry(KEY, entry)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]

    assert decode_entry(KEY, cut) is None
    assert decode_entry(KEY, whole + data.draw(st.binary(min_size=1, max_size=8))) is None


@given(key=st.binary(max_size=40), other=st.binary(max_size=40), entry=ENTRIES)
def test_the_entry_of_another_key_is_rejected(key, other, entry):
    if key != other:
        assert decode_entry(other, encode_entry(key, entry)) is None


@given(data=st.binary(max_size=100))
def test_foreign_bytes_are_rejected(data):
    assert decode_entry(KEY, data) is None
    assert decode_entry(KEY, b"RTC" + data) is None


def test_an_entry_of_another_version_is_rejected():
    """Even where its checksum holds."""
    head = struct.pack(">3sBQf", b"RTC", FORMAT_VERSION + 1, 2**40, 0.0)
    checksum = zlib.crc32(b"value", zlib.crc32(head, zlib.crc32(KEY)))

    assert decode_entry(KEY, head + struct.pack(">I", checksum) + b"value") is None
