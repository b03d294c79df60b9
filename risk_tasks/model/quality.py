"""Findings about the data behind a report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What was found in the data; messages and tables contain the text."""

    #: fewer observations than the share of the expected ones that the limits require
    SHORT_WINDOW = "short_window"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFinding:
    """One finding: its kind, the instrument that it concerns, and what was found, in words.

    `instrument` is None if the finding concerns the whole portfolio.
    """

    kind: str
    instrument: str | None = None
    detail: str = ""

    def __str__(self) -> str:
        """Return `kind` or `kind:INSTRUMENT`."""
        return self.kind if self.instrument is None else f"{self.kind}:{self.instrument}"
