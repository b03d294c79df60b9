"""Measures and limit sets as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.model.limits import Limit, LimitSet, MissingData, ShortWindow
from risk_tasks.model.quality import DataFinding, bounded
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES
from risk_tasks.render.tables import full, plain_table, words
from risk_tasks.store.telemetry import LimitWork


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


def findings_table(findings: Sequence[DataFinding]) -> RenderableType:
    """Return a row for each of the first findings of each kind."""
    if not findings:
        return "Nothing looks wrong in its prices."
    rows = (
        (words(one.kind), Text(one.instrument or ""), Text(one.detail)) for one in bounded(findings)
    )
    title = "What looks wrong in its prices"
    headings = ("finding", "instrument", "detail")
    return plain_table(*headings, rows=rows, whole={"finding", "instrument"}, title=title)


def _matched(work: LimitWork, limit: str) -> Text:
    n = work.matched.get(limit, 0)
    return Text(f"{n:,}", style="" if n or not work.n_checks else "yellow")


def limits_table(limit_set: LimitSet, work: LimitWork) -> Table:
    """Return a row per limit, with the number of checks in `work` that it applies to.

    The column of rules is there if a limit has a rule that is neither in its id nor the default.
    """
    rules = [_rules(limit) for limit in limit_set.limits]
    headings = ("limit", "side", "warn", "hard", *(["rules"] if any(rules) else []), "checks")
    title = (
        f"Limits {limit_set.id}; without a limit: {limit_set.unmatched}; "
        f"{work.n_checks:,} checks since publication"
    )
    whole = set(headings) - {"rules"}
    table = plain_table(*headings, whole=whole, right={"checks"}, title=title, gap=1)
    for limit, rule in zip(limit_set.limits, rules, strict=True):
        unit = limit.measure_name.definition.unit
        thresholds = ["" if x is None else full(x, unit) for x in (limit.warn, limit.hard)]
        cells: list[RenderableType] = [Text(limit.id), str(limit.comparison), *thresholds]
        table.add_row(*cells, *([Text(rule)] if any(rules) else []), _matched(work, limit.id))
    return table


def _rules(limit: Limit) -> str:
    """Return the rules of `limit` that are neither in its id nor the default."""
    scope = ", ".join(f"{key}={'|'.join(of)}" for key, of in limit.applies_to.items())
    rules = [scope] if scope and not limit.id.endswith(f"[{scope.replace(', ', ',')}]") else []
    if limit.missing_data != MissingData.REJECT:
        rules.append(f"missing data: {limit.missing_data}")
    if limit.short_window != ShortWindow.WARN and limit.measure_name.definition.of_past:
        rules.append(f"short window: {limit.short_window}")
    return "; ".join(rules)
