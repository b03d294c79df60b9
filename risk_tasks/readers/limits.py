"""Limit sets from TOML."""

from __future__ import annotations

import os

from risk_tasks.errors import InputFileError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.readers.documents import check_keys, model_errors_at, read_document
from risk_tasks.readers.files import path_of

_SET_KEYS = {"id": str, "limit": list}
_LIMIT_KEYS = {
    "measure": str,
    "warn": float,
    "hard": float,
    "applies_to": dict,
    "missing_data": str,
    "comparison": str,
    "id": str,
}


def read_limits(path: str | os.PathLike[str]) -> LimitSet:
    """Return the limit set of a TOML file: `id = "standard"`, and one `[[limit]]` or more.

    The keys of a limit are the fields of `Limit`; thresholds are in the unit of its measure.

    Raises `InputFileError` naming file, limit and key. A file without a limit is refused: it
    would let everything pass.
    """
    file = path_of(path)
    document = check_keys(read_document(file), file.name, _SET_KEYS, required=("id", "limit"))
    if not document["limit"]:
        raise InputFileError("The file has no limit.", field=f"{file.name}, key limit")
    limits = [
        _limit(f"{file.name}, limit {number}", table)
        for number, table in enumerate(document["limit"], start=1)
    ]
    with model_errors_at(file.name):
        return LimitSet(document["id"], limits)


def _limit(place: str, table: object) -> Limit:
    if isinstance(table, dict) and isinstance(table.get("measure"), str):
        place = f"{place} ({table['measure']})"
    keys = check_keys(table, place, _LIMIT_KEYS, required=("measure",))
    for tag, values in keys.get("applies_to", {}).items():
        if not isinstance(values, str | list):
            raise InputFileError(
                f"{values!r} is neither a text nor a list of texts.",
                field=f"{place}, key applies_to.{tag}",
            )
    with model_errors_at(place):
        return Limit(**keys)
