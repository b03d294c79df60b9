"""The registry of measures for people: a table on the screen, and the one in the documentation."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES


def measures_table() -> Table:
    """Return a row per measure."""
    table = Table(title="Measures (* in the standard set)", title_justify="left", box=None)
    for heading in ("name", "what it is", "unit", "sign", "cost (us)", "source"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for name, definition in MEASURES.items():
        table.add_row(
            ("*" if name in STANDARD_MEASURES else " ") + escape(definition.spelling),
            definition.summary,
            definition.unit.value,
            definition.sign,
            f"{definition.cost_us:g}",
            definition.source,
        )
    return table


def measures_markdown() -> str:
    """Return the table of `docs/reference/measures.md`, which `make docs` writes there."""
    head = "| measure | formula | unit and sign | where it may have no number | source |"
    rows = [
        f"| `{one.spelling}` | {one.formula} | {one.unit.value}, {one.sign} | {one.gaps} "
        f"| {one.source} |"
        for one in MEASURES.values()
    ]
    return "\n".join([head, "| --- | --- | --- | --- | --- |", *rows]).replace("|V|", "abs V")
