"""`measures`: what can be computed."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from risk_tasks.cli.options import AsJson, print_json
from risk_tasks.model.measures import MEASURES, STANDARD_MEASURES, Qualifier

_SPELLING = {
    Qualifier.NONE: "{0}",
    Qualifier.CONFIDENCE: "{0}[@0.95]",
    Qualifier.SCENARIO: "{0}:NAME",
}


def measures(as_json: AsJson = False) -> None:
    """List every measure with its unit, sign, cost and source."""
    if as_json:
        print_json(
            [
                {**asdict(definition), "standard": name in STANDARD_MEASURES}
                for name, definition in MEASURES.items()
            ]
        )
        return
    table = Table(title="Measures (* in the standard set)", title_justify="left", box=None)
    for heading in ("name", "what it is", "unit", "sign", "cost (us)", "source"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for name, definition in MEASURES.items():
        mark = "*" if name in STANDARD_MEASURES else " "
        table.add_row(
            mark + _SPELLING[definition.qualifier].format(name).replace("[", r"\["),
            definition.summary,
            definition.unit.value,
            definition.sign,
            f"{definition.cost_us:g}",
            definition.source,
        )
    Console().print(table)


def add_to(app: typer.Typer) -> None:
    app.command()(measures)
