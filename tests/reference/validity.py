"""Errors of a portfolio that are found before it is computed."""

from __future__ import annotations

from collections.abc import Sequence

Position = tuple[int, float]


def first_repeated(positions: Sequence[Position]) -> int:
    """Position of the first instrument that was already named earlier, or -1."""
    seen: set[int] = set()
    for place, (instrument, _) in enumerate(positions):
        if instrument in seen:
            return place
        seen.add(instrument)
    return -1
