"""Scenarios from TOML."""

from __future__ import annotations

import os
from pathlib import Path

from risk_tasks.errors import InputFileError
from risk_tasks.model.market import Scenario
from risk_tasks.readers.documents import (
    check_keys,
    check_numbers,
    model_errors_at,
    read_document,
)

_KEYS = {"others": float, "shocks": dict}


def read_scenarios(path: str | os.PathLike[str]) -> dict[str, Scenario]:
    """Return the scenarios of a TOML file by name, in the order of the file.

    A scenario is a table: `[crash-2020]` with `others`, the shock of instruments that are not
    named, or a table `shocks` of instrument = shock, or both. Shocks are relative price changes,
    -0.2 being a fall by a fifth.

    Raises `InputFileError` naming file, scenario and key.
    """
    file = Path(path)
    document = read_document(file)
    if not document:
        raise InputFileError(
            "The file has no scenario.", field=file.name, remedy="Write one as [NAME]."
        )
    return {name: _scenario(file, name, table) for name, table in document.items()}


def _scenario(file: Path, name: str, table: object) -> Scenario:
    place = f"{file.name}, scenario {name}"
    if not name:
        raise InputFileError("A scenario needs a name that is not empty.", field=place)
    keys = check_keys(table, place, _KEYS)
    shocks = keys.get("shocks", {})
    check_numbers(shocks, f"{place}, key shocks")
    if not shocks and "others" not in keys:
        raise InputFileError(
            "The scenario shocks nothing.", field=place, remedy="Give shocks, others or both."
        )
    with model_errors_at(place):
        return Scenario(shocks, others=keys.get("others"))
