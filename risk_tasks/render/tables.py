"""Formats of numbers, and plain tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.model.registry import Unit
from risk_tasks.model.report import Measure, MeasureStatus

_SCALES = ((1e12, "t"), (1e9, "bn"), (1e6, "m"), (1e3, "k"))

#: follows a number that a simpler method computed
DEGRADED_MARK = "*"


def plain_table(
    *headings: str,
    rows: Iterable[Iterable[RenderableType]] = (),
    right: Collection[str] = (),
    whole: Collection[str] = (),
    title: str = "",
    gap: int = 2,
) -> Table:
    """Return a table without borders.

    Columns named in `right` are aligned to the right, those in `whole` are never wrapped. `gap` is
    the distance of columns in characters.
    """
    table = Table(
        title=Text(title) if title else None, title_justify="left", box=None, padding=(0, gap, 0, 0)
    )
    for heading in headings:
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            overflow="fold",
            no_wrap=heading in whole,
        )
    for row in rows:
        table.add_row(*row)
    return table


def rows_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of at least one row; the keys of the first row are the headings."""
    texts = (
        (Text(", ".join(one) if isinstance(one, list) else str(one)) for one in row.values())
        for row in rows
    )
    return plain_table(*rows[0], rows=texts)


def short(value: float, unit: str) -> str:
    """Return `value` with about four digits: 10.01m, 35.7 %, 1.84x."""
    if unit == Unit.FRACTION:
        return f"{value * 100:.1f} %"
    if unit == Unit.RATIO:
        return f"{value:.2f}x"
    size = abs(value)
    for scale, suffix in _SCALES:
        if size >= scale * 0.9995:
            return f"{value / scale:.{2 if size / scale < 100 else 1}f}{suffix}"
    return f"{value:.0f}" if size >= 100 or value == 0 else f"{value:.2f}"


def full(value: float, unit: str) -> str:
    """Return `value` with thousands separators: 1,662,114; 0.25; 44.2 %; 3.54x."""
    if unit in (Unit.FRACTION, Unit.RATIO):
        return short(value, unit)
    if abs(value) < 100 and round(value, 2) % 1:
        return f"{value:.2f}"
    return f"{round(value) or 0:,}"


def cell(measure: Measure) -> str:
    """Return a measure for a table: its value, or a dash with the reason for the missing value.

    A star marks a degraded value, which a simpler method than the requested one computed.
    """
    if measure.value is None:
        return f"- {words(measure.reason or measure.status)}"
    mark = DEGRADED_MARK if measure.status == MeasureStatus.DEGRADED else ""
    return short(measure.value, measure.unit) + mark


def words(name: str) -> str:
    """Return an identifier as words."""
    return name.replace("_", " ")
