"""Scenarios from TOML."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date
from pathlib import Path

from risk_tasks.errors import InputFileError
from risk_tasks.model.scenario import Replay, Scenario, Stress, is_date
from risk_tasks.readers.documents import (
    check_keys,
    check_kind,
    check_numbers,
    model_errors_at,
    read_document,
)

_CHANGES = {"others": float, "shocks": dict, "moves": dict, "by_tag": dict}
_WINDOW = {"replay": object, "min_coverage": float, "others": float}


def read_scenarios(path: str | os.PathLike[str]) -> dict[str, Stress]:
    """Return the scenarios of a TOML file by name, in the order of the file.

    A scenario is a table: `[crash-2020]` with one or more of `shocks`, a table of instrument =
    relative price change, -0.2 being a fall by a fifth; `moves`, the same of absolute changes per
    unit; `by_tag`, of tag = a table of value = relative change; and `others`, the relative change
    of what none of these tells. Or it has `replay = [2020-02-20, 2020-03-23]`, the first and the
    last date of a window of the past, and perhaps `min_coverage` with `others`.

    Raises `InputFileError` naming file, scenario and key.
    """
    file = Path(path)
    document = read_document(file)
    if not document:
        raise InputFileError(
            "The file has no scenario.", field=file.name, remedy="Write one as [NAME]."
        )
    return {name: _scenario(file, name, table) for name, table in document.items()}


def _scenario(file: Path, name: str, table: object) -> Stress:
    place = f"{file.name}, scenario {name}"
    if not name:
        raise InputFileError("A scenario needs a name that is not empty.", field=place)
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
            "The scenario shocks nothing.",
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
    """Return two dates of TOML, or as text."""
    days = value if isinstance(value, list) else []
    with suppress(ValueError):
        days = [date.fromisoformat(day) if isinstance(day, str) else day for day in days]
    if len(days) != 2 or not all(map(is_date, days)):
        raise InputFileError(
            "A window is two dates.", field=place, remedy="Write it as [2020-02-20, 2020-03-23]."
        )
    return days[0], days[1]
