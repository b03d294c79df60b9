"""Measures and limit sets as tables."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from risk_tasks.model.limits import LimitSet
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES
from risk_tasks.render.tables import full, plain_table


def measures_table() -> Table:
    """Return a row per measure."""
    headings = ("name", "description", "unit", "sign", "cost (us)", "source")
    rows = (
        (
            Text(("*" if name in STANDARD_MEASURES else " ") + definition.spelling),
            definition.summary,
            definition.unit.value,
            definition.sign,
            f"{definition.cost_us:g}",
            definition.source,
        )
        for name, definition in MEASURES.items()
    )
    return plain_table(
        *headings, rows=rows, whole={"name"}, title="Measures (* in the standard set)"
    )


def measures_markdown() -> str:
    """Return the table in `docs/reference/measures.md`, which `make docs` writes."""
    head = "| measure | formula | unit and sign | without a value | source |"
    rows = [
        f"| `{one.spelling}` | {one.formula} | {one.unit.value}, {one.sign} | {one.gaps} "
        f"| {one.source} |"
        for one in MEASURES.values()
    ]
    return "\n".join([head, "| --- | --- | --- | --- | --- |", *rows]).replace("|V|", "abs V")


def limits_table(limit_set: LimitSet) -> Table:
    """Return a row per limit."""
    headings = ("limit", "side", "warn", "hard", "applies to", "missing data")
    title = f"Limits {limit_set.id}; without a limit: {limit_set.unmatched}"
    table = plain_table(*headings, whole={"limit"}, title=title)
    for limit in limit_set.limits:
        unit = limit.measure_name.definition.unit
        thresholds = ["" if x is None else full(x, unit) for x in (limit.warn, limit.hard)]
        scope = ", ".join(f"{key}={'|'.join(of)}" for key, of in limit.applies_to.items())
        table.add_row(
            Text(limit.id),
            str(limit.comparison),
            *thresholds,
            Text(scope or "all"),
            str(limit.missing_data),
        )
    return table
