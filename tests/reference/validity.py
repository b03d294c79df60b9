"""Errors of a portfolio that are found before measures are computed."""

from __future__ import annotations

from collections.abc import Sequence

Position = tuple[int, float]


def first_repeated(positions: Sequence[Position]) -> int:
    """Index of the first position whose instrument occurs earlier, or -1."""
    seen: set[int] = set()
    for index, (instrument, _) in enumerate(positions):
        if instrument in seen:
            return index
        seen.add(instrument)
    return -1
