"""Reports for people, and for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.model.report import Breach, Decision, MeasureStatus, RiskReport, Severity
from risk_tasks.render.numbers import DEGRADED_MARK, cell, full

_LABEL_WIDTH, _COLUMN_WIDTH = 20, 13
_N_CONTRIBUTORS = 3

_COLOURS = {
    Decision.ACCEPT: "green",
    Decision.WARN: "yellow",
    Decision.REJECT: "bold red",
    Decision.NONE: "dim",
}


def report_tables(reports: Sequence[RiskReport], width: int) -> Group:
    """Return tables of measures by portfolios, as many side by side as `width` characters hold."""
    abreast = max(1, (width - _LABEL_WIDTH) // _COLUMN_WIDTH)
    pieces: list[RenderableType] = []
    for start in range(0, len(reports), abreast):
        pieces += [_table(reports[start : start + abreast]), ""]
    return Group(*pieces[:-1], *_remarks(reports))


def _remarks(reports: Sequence[RiskReport]) -> list[Text]:
    """Return what the marks in the tables mean, a line for each measure and reason."""
    degraded: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for name, measure in report.measures.items():
            if measure.status == MeasureStatus.DEGRADED:
                reason = (measure.reason or measure.status).replace("_", " ")
                degraded.setdefault((name, reason), []).append(report.portfolio_id)
    return [
        Text(
            f"{DEGRADED_MARK} {_label(name)} is degraded ({reason}), by a cruder method than was"
            f" asked for: {', '.join(ids)}",
            style="yellow",
        )
        for (name, reason), ids in degraded.items()
    ]


def _table(reports: Sequence[RiskReport]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for report in reports:
        table.add_column(
            Text(_heading(report.portfolio_id)),
            justify="right",
            overflow="fold",
            width=_COLUMN_WIDTH - 1,
        )
    names = dict.fromkeys(name for report in reports for name in report.measures)
    for name in names:
        cells = [
            cell(report.measures[name]) if name in report.measures else "" for report in reports
        ]
        table.add_row(Text(_label(name)), *cells)
    table.add_row("breaches", *(str(len(report.breaches)) for report in reports))
    table.add_row("decision", *(_decision(report) for report in reports))
    return table


def _heading(name: str) -> str:
    return name if len(name) < _COLUMN_WIDTH else name.replace("-", "-\n", 1)


def _label(name: str) -> str:
    return (
        name.replace("parametric_value_at_risk", "parametric VaR")
        .replace("stress_loss:", "stress ")
        .replace("_", " ")
    )


def _decision(report: RiskReport) -> Text:
    text = report.decision if report.error is None else f"{report.decision} ({report.error.code})"
    return Text(text, style=_COLOURS[Decision(report.decision)])


def explanations(reports: Sequence[RiskReport]) -> Group:
    """Return for each portfolio, in words, what is broken, what could not be told, and why."""
    pieces: list[RenderableType] = [line for report in reports for line in _explain(report)]
    return Group(*pieces)


def _explain(report: RiskReport) -> Iterator[Text]:
    if not (report.breaches or report.not_evaluated or report.error):
        return
    head = Text.assemble((report.portfolio_id, "bold"), "  ", _decision(report))
    yield head
    if report.error is not None:
        place = f"{report.error.field}: " if report.error.field else ""
        yield Text(f"  {place}{report.error.message} {report.error.remedy or ''}")
    for breach in report.breaches:
        yield from _breach_lines(breach)
    for gap in report.not_evaluated:
        yield Text(f"  {gap.limit} could not be evaluated: {gap.reason.replace('_', ' ')}")


def _breach_lines(breach: Breach) -> Iterator[Text]:
    used = "" if breach.utilisation is None else f" ({breach.utilisation:.0%} used)"
    observed, threshold = full(breach.observed, breach.unit), full(breach.threshold, breach.unit)
    kind = "hard limit" if breach.severity == Severity.HARD else "warning at"
    colour = "red" if breach.severity == Severity.HARD else "yellow"
    yield Text.assemble("  ", (breach.limit, colour), f" is {observed}, {kind} {threshold}{used}")
    if breach.contributors:
        parts = [
            f"{part.instrument} {full(part.amount, breach.unit)}"
            + ("" if part.share is None else f" ({part.share:.0%})")
            for part in breach.contributors[:_N_CONTRIBUTORS]
        ]
        yield Text("      most from " + ", ".join(parts), style="dim")
    if breach.scenarios:
        days = [
            f"{one.date or f'observation {one.observation}'} {full(one.pnl, breach.unit)}"
            for one in breach.scenarios[:_N_CONTRIBUTORS]
        ]
        yield Text("      as on " + ", ".join(days), style="dim")


def reports_csv(reports: Sequence[RiskReport]) -> str:
    """Return a row per portfolio; a measure without a value is an empty cell."""
    names = list(dict.fromkeys(name for report in reports for name in report.measures))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["portfolio_id", *names, "status", "decision", "breaches", "code"])
    for report in reports:
        values = [
            None if name not in report.measures else report.measures[name].value for name in names
        ]
        broken = ";".join(breach.limit for breach in report.breaches)
        writer.writerow(
            [report.portfolio_id, *values, report.status, report.decision, broken, report.code]
        )
    return out.getvalue()
