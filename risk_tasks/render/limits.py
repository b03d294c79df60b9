"""A limit set for people."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from risk_tasks.model.limits import LimitSet
from risk_tasks.render.numbers import full


def limits_table(limit_set: LimitSet) -> Table:
    """Return a row per limit."""
    table = Table(title=Text(f"Limits {limit_set.id}"), title_justify="left", box=None)
    for heading in ("limit", "side", "warn", "hard", "applies to", "missing data"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "limit")
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
