"""Read the bytes or the text of a file."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from risk_tasks.errors import InputFileError


def path_of(given: object) -> Path:
    """Return `given` as a path; raises `InputFileError` for another type."""
    if not isinstance(given, str | os.PathLike):
        raise InputFileError(
            f"{type(given).__name__} is not a path: expected text or os.PathLike.",
            field="path",
            remedy="Give the path of a file.",
        )
    return Path(given)


def read_bytes(path: Path) -> bytes:
    """Return the content of `path`, which is not empty.

    Raises `InputFileError` if the file does not exist, is a directory, is empty or is not readable.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputFileError(
            f"The file cannot be read: {reason}.", field=str(path), remedy="Check the path."
        ) from error
    if not data:
        raise _empty(path)
    return data


def read_text(path: Path) -> str:
    """Return the UTF-8 text of `path`, without a byte order mark; it is not blank.

    Raises `InputFileError` as `read_bytes`, and with the line for text that is not UTF-8.
    """
    data = read_bytes(path).removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputFileError(
            f"Byte 0x{data[error.start]:02x} is not UTF-8 text.",
            field=f"{path.name}, line {line}",
            remedy="Save the file as UTF-8.",
        ) from error
    if not text.strip():
        raise _empty(path)
    return text


def _empty(path: Path) -> InputFileError:
    return InputFileError("The file is empty.", field=str(path), remedy="Check the path.")
