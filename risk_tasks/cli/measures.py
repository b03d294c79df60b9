"""`measures`: what can be computed."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.console import Console

from risk_tasks.cli.options import AsJson, print_json
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES
from risk_tasks.render.measures import measures_table


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
    Console().print(measures_table())


def add_to(app: typer.Typer) -> None:
    app.command()(measures)
