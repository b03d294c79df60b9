"""The options of `tests/risk_engine_load_test.py`.

Exit codes: 0 every judged criterion is met; 1 a criterion is missed, or an error; 2 wrong usage.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.load import run
from benchmarks.load.judging import Statistic, Targets, judge
from benchmarks.load.plan import planned
from benchmarks.load.report import Report, machine
from benchmarks.load.tables import Rows
from risk_tasks.cli.console import AsJson, json_text, progress
from risk_tasks.errors import RiskTasksError

_COLUMNS = 110
_UNITS_MS = {"ms": 1.0, "s": 1_000.0}


def read_ms(text: str) -> float:
    """Return the milliseconds of a text such as `100ms` or `0.1s`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s)", text.strip())
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{text!r} is not a time: expected a text such as 100ms or 0.1s.")
    return float(match[1]) * _UNITS_MS[match[2]]


def load_test(
    max_requests_per_user: Annotated[
        int, typer.Option(min=1, max=50_000, help="Checks of a user that are outstanding at once.")
    ] = 5_000,
    concurrent_users: Annotated[int, typer.Option(min=1, max=256, help="Users.")] = 10,
    target_response_time: Annotated[
        Any, typer.Option(parser=read_ms, metavar="TIME", help="At every level up to 20,000.")
    ] = "100ms",
    statistic: Annotated[
        Statistic, typer.Option(help="The percentile of a level that is compared with its target.")
    ] = "p95",
    validate_optimizations: Annotated[
        bool, typer.Option("--validate-optimizations", help="Judge every criterion.")
    ] = False,
    broker_url: Annotated[
        str | None, typer.Option(metavar="URL", help="A running system; else one of its own.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write one page with plots.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few and small rounds; times are not judged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure levels of checks outstanding at once, and judge the criteria."""
    _require_writable(report)
    plan = planned(
        users=concurrent_users, most=max_requests_per_user, cores=os.cpu_count() or 1, quick=quick
    )
    facts = {"taken": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "users": plan.users, **machine()}
    figures = run.measure(plan, broker_url, validate=validate_optimizations)
    targets = Targets(response_ms=target_response_time, statistic=statistic, timed=not quick)
    criteria = judge(figures, targets) if validate_optimizations else None
    found = Report(figures, criteria, facts)
    if report is not None:
        from benchmarks.load.page import page

        with progress("Drawing the page"):
            report.write_text(page(found), encoding="utf-8")
    if as_json:
        sys.stdout.write(json_text(found.document()))
    else:
        _print(found)
    raise typer.Exit(found.exit_code)


def _require_writable(report: Path | None) -> None:
    """Refuse a report that cannot be written, before minutes of work."""
    if report is not None and not os.access(report.resolve().parent, os.W_OK):
        raise typer.BadParameter(f"{report} cannot be written.", param_hint="--report")


def _print(found: Report) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_COLUMNS)
    for rows in found.tables:
        if rows.rows:
            console.print(_table(rows))
    console.print(found.verdict, markup=False)


def _table(rows: Rows) -> Table:
    table = Table(title=rows.title, title_justify="left", box=None)
    for index, heading in enumerate(rows.headings):
        is_number = rows.is_numbers and index > 1
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in rows.rows:
        table.add_row(*row)
    return table


def main() -> None:
    """Run the command line; an error of this project prints one line and gives exit code 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(load_test)
    try:
        app()
    except RiskTasksError as error:
        print(f"load test: {error}", file=sys.stderr)
        sys.exit(1)
