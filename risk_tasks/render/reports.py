"""Reports as tables, sentences and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.model.backtest import Backtest, BacktestReport, Zone
from risk_tasks.model.quality import FindingKind
from risk_tasks.model.report import (
    Breach,
    Decision,
    Explanation,
    Headroom,
    LimitUse,
    MeasureStatus,
    NotEvaluated,
    ReportError,
    RiskReport,
    Severity,
)
from risk_tasks.render.tables import DEGRADED_MARK, cell, full, plain_table, words

_LABEL_WIDTH, _COLUMN_WIDTH = 20, 13
_N_CONTRIBUTORS = 3
_BAR_WIDTH = 20
_N_EXCEPTIONS = 5

_ZONE_COLOURS = {Zone.GREEN: "green", Zone.YELLOW: "yellow", Zone.RED: "bold red"}

_COLOURS = {
    Decision.ACCEPT: "green",
    Decision.WARN: "yellow",
    Decision.REJECT: "bold red",
    Decision.NONE: "dim",
}


def report_tables(
    reports: Sequence[RiskReport], width: int, *, with_observations: bool = False
) -> Group:
    """Return tables of measures with a column per portfolio, each at most `width` characters.

    `with_observations` adds the number of past outcomes behind the measures.
    """
    n_columns = max(1, (width - _LABEL_WIDTH) // _COLUMN_WIDTH)
    pieces: list[RenderableType] = []
    for start in range(0, len(reports), n_columns):
        pieces += [_table(reports[start : start + n_columns], with_observations), ""]
    return Group(*pieces[:-1], *_remarks(reports))


def _remarks(reports: Sequence[RiskReport]) -> list[Text]:
    """Return a line for each degraded measure and reason."""
    degraded: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for name, measure in report.measures.items():
            if measure.status == MeasureStatus.DEGRADED:
                reason = words(measure.reason or measure.status)
                degraded.setdefault((name, reason), []).append(report.portfolio_id)
    return [
        Text(
            f"{DEGRADED_MARK} {_label(name)} is degraded ({reason}): {', '.join(ids)}",
            style="yellow",
        )
        for (name, reason), ids in degraded.items()
    ]


def _table(reports: Sequence[RiskReport], with_observations: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for report in reports:
        name = report.portfolio_id
        table.add_column(
            Text(name if len(name) < _COLUMN_WIDTH else name.replace("-", "-\n", 1)),
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
    if with_observations:
        counts = map(_n_observations, reports)
        table.add_row("observations", *("" if one is None else f"{one:,}" for one in counts))
    table.add_row("breaches", *(str(len(report.breaches)) for report in reports))
    table.add_row("limits applied", *(str(report.limits_applied) for report in reports))
    table.add_row("decision", *(_decision(report) for report in reports))
    return table


def _n_observations(report: RiskReport) -> int | None:
    """Return the number of past outcomes, which the measures of the past share."""
    counts = (one.n_observations for one in report.measures.values())
    return next((count for count in counts if count is not None), None)


def _label(name: str) -> str:
    name = name.replace("parametric_value_at_risk", "parametric VaR")
    return words(name.replace("stress_loss:", "stress "))


def _decision(report: RiskReport) -> Text:
    text = report.decision if report.error is None else f"{report.decision} ({report.error.code})"
    return Text(text, style=_COLOURS[Decision(report.decision)])


def explanations(reports: Sequence[RiskReport]) -> Group:
    """Return the breaches, errors, limits without a result and findings of each portfolio."""
    pieces: list[RenderableType] = [line for report in reports for line in _explain(report)]
    return Group(*pieces)


def _explain(report: RiskReport) -> Iterator[Text]:
    lines = list(_reasons(report))
    if lines:
        yield Text.assemble((report.portfolio_id, "bold"), "  ", _decision(report))
        yield from lines


def _reasons(report: RiskReport) -> Iterator[Text]:
    if report.error is not None:
        yield Text(f"  {_error(report.error)}")
    for breach in report.breaches:
        yield from _breach_lines(breach)
    for gap in report.not_evaluated:
        yield Text(f"  {gap.limit} {_gap(gap)}")
    if report.decision == Decision.NONE and report.limits_version is not None:
        yield Text("  No limit was compared: none applies to its tags and id, or all were skipped.")
    for finding in report.data_quality:
        named = f" of {finding.instrument}" if finding.instrument else ""
        yield Text(f"  data: {words(finding.kind)}{named}: {finding.detail}", style="yellow")


def _gap(gap: NotEvaluated) -> str:
    if gap.reason == FindingKind.SHORT_WINDOW:
        return f"has too few past outcomes behind it: {gap.missing_data}"
    return f"could not be evaluated: {words(gap.reason)}"


def _error(error: ReportError) -> str:
    field = f"{error.field}: " if error.field else ""
    return f"{field}{error.message} {error.remedy or ''}"


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


def headroom_tables(reports: Sequence[RiskReport]) -> Group:
    """Return the use of each limit and the headroom of each explained portfolio."""
    pieces: list[RenderableType] = []
    for report in reports:
        if report.explanation is not None:
            pieces += [Text(report.portfolio_id, style="bold"), *_of(report.explanation), ""]
    return Group(*pieces[:-1])


def _of(explanation: Explanation) -> list[RenderableType]:
    pieces: list[RenderableType] = []
    if explanation.limits:
        pieces.append(_limit_uses(explanation.limits))
    if explanation.headroom:
        pieces.append(_headroom(explanation.headroom))
    if explanation.not_bounded:
        names = ", ".join(explanation.not_bounded)
        pieces.append(Text(f"  The headroom does not consider: {names}", style="yellow"))
    return pieces


def _limit_uses(uses: Sequence[LimitUse]) -> Table:
    numeric = ("observed", "warn", "hard", "used")
    table = plain_table("limit", *numeric, "", right=numeric)
    for use in uses:
        colour = {Severity.HARD.value: "red", Severity.WARN.value: "yellow"}
        thresholds = ["" if one is None else full(one, use.unit) for one in (use.warn, use.hard)]
        style = colour.get(use.severity or "", "green")
        used = "-" if use.utilisation is None else f"{use.utilisation:.0%}"
        cells = [full(use.observed, use.unit), *thresholds, used]
        table.add_row(Text(use.limit), *cells, Text(_bar(use.utilisation), style=style))
    return table


def _bar(utilisation: float | None) -> str:
    filled = 0 if utilisation is None else round(_BAR_WIDTH * min(max(utilisation, 0.0), 1.0))
    return "#" * filled + "." * (_BAR_WIDTH - filled)


def _headroom(rooms: Sequence[Headroom]) -> Table:
    headings = ("position", "buy up to", "until", "sell up to", "until")
    rows = (
        (
            Text(room.instrument),
            _units(room.buy),
            Text(room.buy_bound_by or ""),
            _units(room.sell),
            Text(room.sell_bound_by or ""),
        )
        for room in rooms
    )
    return plain_table(*headings, rows=rows, right={"buy up to", "sell up to"})


def _units(quantity: float | None) -> str:
    """Return a quantity rounded down, so that the trade stays within the limits."""
    if quantity is None:
        return "no bound"
    whole = int(quantity)
    return f"{whole:,}" if whole >= 100 else f"{int(quantity * 100) / 100:,.2f}"


_CSV_COLUMNS = (
    *("status", "decision", "breaches", "code"),
    *("limits_applied", "n_observations", "data_quality"),
)


def reports_csv(reports: Sequence[RiskReport]) -> str:
    """Return one row per portfolio; a measure without a value is an empty cell."""
    names = list(dict.fromkeys(name for report in reports for name in report.measures))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["portfolio_id", *names, *_CSV_COLUMNS])
    for report in reports:
        values = [
            None if name not in report.measures else report.measures[name].value for name in names
        ]
        broken = ";".join(breach.limit for breach in report.breaches)
        decided = [report.status, report.decision, broken, report.code]
        found = ";".join(map(str, report.data_quality))
        behind = [report.limits_applied, _n_observations(report), found]
        writer.writerow([report.portfolio_id, *values, *decided, *behind])
    return out.getvalue()


def backtest_tables(reports: Sequence[BacktestReport], window: int, as_of: datetime) -> Group:
    """Return a row per portfolio and confidence, and the last exceptions."""
    pieces: list[RenderableType] = [
        Text(
            f"VaR of the previous {window} days against the P&L of the current positions.\n"
            f"Days count back from {as_of:%Y-%m-%d}. Tests: LR (p); a small p rejects the VaR."
        )
    ]
    for report in reports:
        pieces += ["", *_backtest_pieces(report)]
    return Group(*pieces)


def _backtest_pieces(report: BacktestReport) -> Iterator[RenderableType]:
    yield Text(report.portfolio_id, style="bold")
    if report.error is not None:
        yield Text(_error(report.error))
        return
    yield _backtest_table(report.backtests)
    for one in report.backtests:
        if one.exceptions:
            last = ", ".join(map(str, one.exceptions[-_N_EXCEPTIONS:]))
            yield Text(f"last exceptions at {one.confidence} on days {last}", style="dim")
        if one.plus_factor is not None and one.frtb_multiplier is not None:
            yield Text(
                f"plus factor {one.plus_factor:.2f} (Basel 1996), "
                f"multiplier {one.frtb_multiplier:.2f} (FRTB)",
                style="dim",
            )


def _backtest_table(backtests: Sequence[Backtest]) -> Table:
    numbers, tests = (
        ("VaR", "days", "exceptions", "expected"),
        ("Kupiec", "independence", "coverage"),
    )
    right, whole = (*numbers, *tests), (*numbers, "zone")
    rows = (
        (
            one.confidence,
            str(one.n_observations),
            str(one.n_exceptions),
            f"{one.expected:.1f}",
            Text(one.zone, style=_ZONE_COLOURS[one.zone]),
            _statistic(one.kupiec_lr, one.kupiec_p, ""),
            _statistic(one.independence_lr, one.independence_p, _reason(one, "independence")),
            _statistic(one.coverage_lr, one.coverage_p, _reason(one, "coverage")),
        )
        for one in backtests
    )
    return plain_table(*numbers, "zone", *tests, rows=rows, right=right, whole=whole, gap=1)


def _statistic(ratio: float | None, p_value: float | None, reason: str) -> str:
    if ratio is None or p_value is None:
        return f"- {reason}"
    p = f"{p_value:.3f}" if p_value >= 0.0005 else "<.001"
    return f"{ratio:.2f} ({p})" if ratio < 100 else f"{ratio:.0f} ({p})"


def _reason(one: Backtest, name: str) -> str:
    return words(one.reasons.get(name, "undefined"))
