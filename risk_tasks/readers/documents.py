"""TOML documents: parsed, and held against the keys that they may have."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from risk_tasks.errors import InputFileError, InvalidMarketError, RequestError
from risk_tasks.readers.files import read_text

_KINDS = {str: "a text", float: "a finite number", dict: "a table", list: "an array of tables"}


def read_document(path: Path) -> dict[str, Any]:
    """Return the TOML document in `path`.

    Raises `InputFileError` naming line and column where it is not TOML.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason, _, place = str(error).partition(" (at ")
        field = ", ".join(part for part in (path.name, place.removesuffix(")")) if part)
        raise InputFileError(f"The file is not TOML: {reason}.", field=field) from error


def check_keys(
    table: object, place: str, known: Mapping[str, type], *, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return `table` when its keys are `known` ones, each of its kind, and none is missing.

    Raises `InputFileError` naming the key, and the nearest known one.
    """
    checked: dict[str, Any] = check_kind(table, dict, place)
    for key, value in checked.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise InputFileError(
                f"There is no key {key!r}." + (f" Nearest: {near[0]}." if near else ""),
                field=f"{place}, key {key}",
                remedy=f"The keys are {', '.join(known)}.",
            )
        check_kind(value, known[key], f"{place}, key {key}")
    for key in required:
        if key not in checked:
            raise InputFileError(f"The key {key!r} is missing.", field=f"{place}, key {key}")
    return checked


def check_kind(value: object, kind: type, place: str) -> Any:
    """Return `value` when it is of `kind`; raise `InputFileError` at `place` otherwise."""
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)
    else:
        fits = isinstance(value, kind)
    if not fits:
        remedy = f"Begin each with [[{place.rpartition(' ')[2]}]]." if kind is list else None
        raise InputFileError(
            f"{_shortened(value)} is not {_KINDS[kind]}.", field=place, remedy=remedy
        )
    return value


def check_numbers(table: Mapping[str, object], place: str) -> None:
    """Raise `InputFileError` for the first value of `table` that is not a finite number."""
    for key, value in table.items():
        if isinstance(value, dict):
            raise InputFileError(
                f"{_shortened(value)} is not a finite number.",
                field=f"{place}.{key}",
                remedy='Quote a name that has a dot in it, as "BRK.B".',
            )
        check_kind(value, float, f"{place}.{key}")


def _finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:
        return False


def _shortened(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes out
        return "It"
    return text if len(text) <= 60 else f"{text[:60]}..."


@contextmanager
def model_errors_at(place: str) -> Iterator[None]:
    """Turn what the model refuses into `InputFileError`, with `place` before the model's field."""
    try:
        yield
    except (RequestError, InvalidMarketError) as error:
        key = f", key {error.field}" if error.field else ""
        raise InputFileError(error.message, field=place + key, remedy=error.remedy) from error
