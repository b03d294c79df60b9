"""Read TOML files: limit sets, scenarios and tags of instruments."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Any

from risk_tasks.errors import InputFileError, InvalidMarketError, RequestError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.scenario import Replay, Scenario, Stress, is_date
from risk_tasks.readers.files import path_of, read_text

_KINDS = {str: "a text", float: "a finite number", dict: "a table", list: "an array of tables"}


def read_document(path: Path) -> dict[str, Any]:
    """Return the TOML document in `path`.

    Raises `InputFileError` with line and column if the file is not TOML.
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
    """Return `table` if its keys are in `known`, its values have their types, and none is missing.

    Raises `InputFileError` with the key, and the nearest known key.
    """
    checked: dict[str, Any] = check_kind(table, dict, place)
    for key, value in checked.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise InputFileError(
                f"Unknown key {key!r}." + (f" Nearest: {near[0]}." if near else ""),
                field=f"{place}, key {key}",
                remedy=f"The keys are {', '.join(known)}.",
            )
        check_kind(value, known[key], f"{place}, key {key}")
    for key in required:
        if key not in checked:
            raise InputFileError(f"The key {key!r} is missing.", field=f"{place}, key {key}")
    return checked


def check_kind(value: object, kind: type, place: str) -> Any:
    """Return `value` if it is of `kind`; else raise `InputFileError` with `place`."""
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
                remedy='Quote a name that contains a dot: "BRK.B".',
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
    """Raise errors of the model as `InputFileError`, with `place` before their field."""
    try:
        yield
    except (RequestError, InvalidMarketError) as error:
        key = f", key {error.field}" if error.field else ""
        raise InputFileError(error.message, field=place + key, remedy=error.remedy) from error


_SET_KEYS = {"id": str, "limit": list, "unmatched": str}
_LIMIT_KEYS = {
    "measure": str,
    "warn": float,
    "hard": float,
    "applies_to": dict,
    "missing_data": str,
    "comparison": str,
    "short_window": str,
    "id": str,
}


def read_limits(path: str | os.PathLike[str]) -> LimitSet:
    """Return the limit set of a TOML file: `id = "standard"`, and one `[[limit]]` or more.

    `unmatched = "reject"` rejects a portfolio with which no limit was compared. The keys of a limit
    are the fields of `Limit`; thresholds are in the unit of its measure.

    Raises `InputFileError` with file, limit and key, also for a file without limits.
    """
    file = path_of(path)
    document = check_keys(read_document(file), file.name, _SET_KEYS, required=("id", "limit"))
    tables = document.pop("limit")
    if not tables:
        raise InputFileError(
            "The file has no limit.",
            field=f"{file.name}, key limit",
            remedy="Write each limit below [[limit]].",
        )
    limits = [
        _limit(f"{file.name}, limit {number}", table)
        for number, table in enumerate(tables, start=1)
    ]
    with model_errors_at(file.name):
        return LimitSet(limits=limits, **document)


def _limit(place: str, table: object) -> Limit:
    if isinstance(table, dict) and isinstance(table.get("measure"), str):
        place = f"{place} ({table['measure']})"
    keys = check_keys(table, place, _LIMIT_KEYS, required=("measure",))
    for tag, values in keys.get("applies_to", {}).items():
        if not isinstance(values, str | list):
            raise InputFileError(
                f"{values!r} is neither text nor a list of texts.",
                field=f"{place}, key applies_to.{tag}",
            )
    with model_errors_at(place):
        return Limit(**keys)


_CHANGES = {"others": float, "shocks": dict, "moves": dict, "by_tag": dict}
_WINDOW = {"replay": object, "min_coverage": float, "others": float}


def read_scenarios(path: str | os.PathLike[str]) -> dict[str, Stress]:
    """Return the scenarios of a TOML file by name, in the order of the file.

    A scenario is a table, such as `[crash-2020]`, with one or more of these keys: `shocks` maps
    instruments to relative price changes (-0.2 is a fall of 20 %); `moves` maps instruments to
    absolute changes per unit; `by_tag` maps tags to tables of value and relative change; `others`
    is the relative change of all other instruments. A replay has `replay = [2020-02-20,
    2020-03-23]`, the first and the last date of a past window, and optionally `min_coverage`
    together with `others`.

    Raises `InputFileError` with file, scenario and key.
    """
    file = path_of(path)
    document = read_document(file)
    if not document:
        raise InputFileError(
            "The file has no scenario.", field=file.name, remedy="Write each as [NAME]."
        )
    return {name: _scenario(file, name, table) for name, table in document.items()}


def _scenario(file: Path, name: str, table: object) -> Stress:
    place = f"{file.name}, scenario {name}"
    if not name:
        raise InputFileError(
            "The name of the scenario is empty.", field=place, remedy="Write it as [NAME]."
        )
    if isinstance(table, dict) and "replay" in table:
        return _replay(table, place)
    keys = check_keys(table, place, _CHANGES)
    for key in ("shocks", "moves"):
        check_numbers(keys.get(key, {}), f"{place}, key {key}")
    for tag, values in keys.get("by_tag", {}).items():
        key = f"{place}, key by_tag.{tag}"
        check_numbers(check_kind(values, dict, key), key)
    if not any(key == "others" or of for key, of in keys.items()):
        raise InputFileError(
            "The scenario has no price change.",
            field=place,
            remedy="Give shocks, moves, by_tag, others, or replay.",
        )
    with model_errors_at(place):
        return Scenario(keys.pop("shocks", {}), **keys)


def _replay(table: dict[str, object], place: str) -> Replay:
    keys = check_keys(table, place, _WINDOW)
    start, end = _window(keys.pop("replay"), f"{place}, key replay")
    with model_errors_at(place):
        return Replay(start, end, **keys)


def _window(value: object, place: str) -> tuple[date, date]:
    """Return the two dates of `value`, which are TOML dates or text."""
    days = value if isinstance(value, list) else []
    with suppress(ValueError):
        days = [date.fromisoformat(day) if isinstance(day, str) else day for day in days]
    if len(days) != 2 or not all(map(is_date, days)):
        raise InputFileError(
            f"{_shortened(value)} is not a window of two dates.",
            field=place,
            remedy="Write it as [2020-02-20, 2020-03-23].",
        )
    return days[0], days[1]


def read_tags(path: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Return the tags of a TOML file by instrument: `[AAPL]` with `sector = "technology"`.

    Raises `InputFileError` with file, instrument and tag.
    """
    file = path_of(path)
    document = read_document(file)
    if not document:
        raise InputFileError(
            "The file has no tags.", field=file.name, remedy="Write tags below [INSTRUMENT]."
        )
    return {instrument: _tags(file, instrument, table) for instrument, table in document.items()}


def read_proxies(path: str | os.PathLike[str]) -> dict[str, str | dict[str, str]]:
    """Return the proxies of a TOML file: `ARM = "SPY"`, or `ARM = { sector = "technology" }`.

    Raises `InputFileError` with file and instrument.
    """
    file = path_of(path)
    document = read_document(file)
    if not document:
        raise InputFileError(
            "The file has no proxy.", field=file.name, remedy='Write each as ARM = "SPY".'
        )
    return {
        instrument: proxy if isinstance(proxy, str) and proxy else _tags(file, instrument, proxy)
        for instrument, proxy in document.items()
    }


def _tags(file: Path, instrument: str, table: object) -> dict[str, str]:
    place = f"{file.name}, instrument {instrument}"
    tags: dict[str, str] = {}
    for tag, value in check_kind(table, dict, place).items():
        remedy = None
        if isinstance(value, dict):
            remedy = 'Quote a name that contains a dot: ["BRK.B"].'
        if not isinstance(value, str) or not value or not tag:
            raise InputFileError(
                f"{_shortened(value)} is not a tag value: a tag and its value are non-empty text.",
                field=f"{place}, tag {tag}",
                remedy=remedy,
            )
        tags[tag] = value
    return tags
