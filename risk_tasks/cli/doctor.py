"""`doctor`: what is wrong with a running system, and the line that mends it."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.console import Console
from rich.text import Text

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.cli.progress import progress
from risk_tasks.diagnosis import Finding, State, examine

_MARKS = {State.OK: ("ok  ", "green"), State.WARN: ("warn", "yellow"), State.BAD: ("BAD ", "red")}


def doctor(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Examine server, workers and queues; exit code 1 where something is bad."""
    with progress("Looking at the server, and asking each lane for an answer ..."):
        findings = examine(url_of(broker_url))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _print(finding)
    if any(finding.state is State.BAD for finding in findings):
        raise typer.Exit(1)


def _print(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    console = Console()
    console.print(Text.assemble((mark, colour), f"  {finding.what}: {finding.found}"))
    if finding.mend:
        console.print(Text(f"      {finding.mend}", style="dim"))


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)
