"""The bytes of a value on the server.

::

    magic 3 | version 1 | expires 8, ms by the server's clock | cost 4, s | CRC-32 4 | value

The checksum covers the key, the head and the value, so that a truncated, changed or misplaced entry
is detected. It protects against accidents, not against an attacker who can write to the server.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

FORMAT_VERSION = 1
_MAGIC = b"RTC"
_HEAD = struct.Struct(">3sBQf")
_CHECKSUM = struct.Struct(">I")
_VALUE_AT = _HEAD.size + _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, when it expires by the server's clock, and the seconds that computing it took."""

    value: bytes
    expires_ms: int
    cost_s: float


def encode_entry(key: bytes, entry: Entry) -> bytes:
    head = _HEAD.pack(_MAGIC, FORMAT_VERSION, entry.expires_ms, entry.cost_s)
    return head + _CHECKSUM.pack(_checksum(key, head, entry.value)) + entry.value


def decode_entry(key: bytes, data: bytes) -> Entry | None:
    """Return the entry of `key`; None for data that is damaged, foreign or of another key."""
    if len(data) < _VALUE_AT:
        return None
    magic, version, expires_ms, cost_s = _HEAD.unpack_from(data)
    if magic != _MAGIC or version != FORMAT_VERSION:
        return None
    value = data[_VALUE_AT:]
    (checksum,) = _CHECKSUM.unpack_from(data, _HEAD.size)
    if checksum != _checksum(key, data[: _HEAD.size], value):
        return None
    return Entry(value, expires_ms, cost_s)


def _checksum(key: bytes, head: bytes, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(head, zlib.crc32(key)))
