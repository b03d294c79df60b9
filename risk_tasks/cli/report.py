"""`report`: the latest report of a live portfolio."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.client import RiskClient
from risk_tasks.render.live import age_line
from risk_tasks.render.reports import explanations, report_tables
from risk_tasks.wire.documents import live_report_document


def report(
    portfolio_id: Annotated[str, typer.Argument(metavar="ID", help="Of a live portfolio.")],
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print the latest report of a live portfolio, of which version it is and how old."""
    with RiskClient(url_of(broker_url)) as risk:
        latest = risk.report(portfolio_id)
    if as_json:
        print_json(None if latest is None else live_report_document(latest))
        return
    console = Console()
    if latest is None:
        console.print(f"No report of {portfolio_id} was made yet.", markup=False)
        return
    console.print(age_line(latest), highlight=False)
    console.print(report_tables([latest.report], console.width), highlight=False)
    console.print(explanations([latest.report]), highlight=False)


def add_to(app: typer.Typer) -> None:
    app.command()(report)
