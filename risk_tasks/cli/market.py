"""`market publish` and `market list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.cli.progress import progress
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.readers import read_market, read_scenarios, read_tags
from risk_tasks.store.published import MarketStore

app = typer.Typer(help="Publish a market, or list those that are published.")


def describe(name: str, snapshot: MarketSnapshot) -> dict[str, object]:
    return {
        "name": name,
        "id": snapshot.id,
        "as_of": snapshot.as_of.isoformat(),
        "instruments": len(snapshot.instruments),
        "observations": snapshot.n_observations,
        "scenarios": sorted(snapshot.scenarios),
    }


@app.command()
def publish(
    prices: Annotated[Path, typer.Argument(help="CSV or Parquet: date, and a column per share.")],
    name: Annotated[str, typer.Option(help="The name that checks ask for.")] = DEFAULT_NAME,
    window_days: Annotated[
        int | None, typer.Option(min=1, help="Keep only the last so many returns.")
    ] = None,
    scenarios: Annotated[
        Path | None, typer.Option(help="TOML with named stress scenarios.")
    ] = None,
    tags: Annotated[
        Path | None, typer.Option(help="TOML with tags of instruments, for scenarios by tag.")
    ] = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Read prices and make them the market of all later checks."""
    with progress("Reading prices ..."):
        snapshot = read_market(
            prices,
            window_days=window_days,
            scenarios=read_scenarios(scenarios) if scenarios else {},
            tags=read_tags(tags) if tags else {},
        )
    with RiskClient(url_of(broker_url)) as risk, progress("Publishing ..."):
        risk.publish_market(snapshot, name)
    if as_json:
        print_json(describe(name, snapshot))
    else:
        typer.echo(
            f"Published {name}: {len(snapshot.instruments)} instruments, "
            f"{snapshot.n_observations} observations as of {snapshot.as_of:%Y-%m-%d}, "
            f"id {snapshot.id}"
        )


@app.command("list")
def list_markets(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the published markets."""
    with progress("Reading the markets ..."), connect(url_of(broker_url)) as client:
        store = MarketStore(client)
        rows = [
            describe(name, snapshot)
            for name, market_id in sorted(store.current().items())
            if (snapshot := store.load(market_id)) is not None
        ]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("No market is published. Publish one with: risk-tasks market publish PRICES")
    else:
        table = Table(box=None)
        for heading in rows[0]:
            table.add_column(heading, overflow="fold")
        for row in rows:
            cells = {**row, "scenarios": ", ".join(row["scenarios"])}  # type: ignore[arg-type]
            table.add_row(*(str(cell) for cell in cells.values()))
        Console().print(table)
