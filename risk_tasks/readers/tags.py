"""Tags of instruments from TOML."""

from __future__ import annotations

import os
from pathlib import Path

from risk_tasks.errors import InputFileError
from risk_tasks.readers.documents import check_kind, read_document


def read_tags(path: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Return the tags of a TOML file by instrument: `[AAPL]` with `sector = "technology"`.

    Raises `InputFileError` naming file, instrument and tag.
    """
    file = Path(path)
    document = read_document(file)
    if not document:
        raise InputFileError(
            "The file has no tags.", field=file.name, remedy="Write them below [INSTRUMENT]."
        )
    return {instrument: _tags(file, instrument, table) for instrument, table in document.items()}


def _tags(file: Path, instrument: str, table: object) -> dict[str, str]:
    place = f"{file.name}, instrument {instrument}"
    tags: dict[str, str] = {}
    for tag, value in check_kind(table, dict, place).items():
        remedy = None
        if isinstance(value, dict):
            remedy = 'Quote a name that has a dot in it, as ["BRK.B"].'
        if not isinstance(value, str) or not value or not tag:
            raise InputFileError(
                "A tag and its value are texts, not empty.",
                field=f"{place}, tag {tag}",
                remedy=remedy,
            )
        tags[tag] = value
    return tags
