"""What every message has, whatever its form: a version, and damage told as such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from risk_tasks.errors import DecodeError, VersionError, WireError

#: format of every message here; a reader refuses what it does not know
VERSION = "1"


@contextmanager
def decoding(kind: str) -> Iterator[None]:
    """Turn whatever damaged bytes make Arrow, JSON and our own classes raise into `DecodeError`."""
    try:
        yield
    except WireError:
        raise
    except Exception as error:
        raise DecodeError(f"Not a valid {kind}: {error}") from error


def framed(kind: str, body: bytes) -> bytes:
    """Return `body` behind a line that says of what kind and version it is."""
    return f"{kind}/{VERSION}\n".encode() + body


def unframed(kind: str, data: bytes) -> bytes:
    """Return the body of what was framed as `kind`; raises `WireError` for anything else."""
    line = f"{kind}/{VERSION}\n".encode()
    if data.startswith(line):
        return data[len(line) :]
    found, _, version = data[:64].partition(b"\n")[0].partition(b"/")
    if found == kind.encode():
        raise VersionError(
            f"{kind} of version {version.decode(errors='replace')!r}, not {VERSION}."
        )
    raise DecodeError(f"Expected {kind}, got {data[:16]!r}.")
