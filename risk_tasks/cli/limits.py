"""`limits publish` and `limits show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.cli.progress import progress
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.errors import UnknownLimitSetError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.readers import read_limits
from risk_tasks.render.limits import limits_table
from risk_tasks.store.published import LimitStore
from risk_tasks.wire.documents import limit_set_document

app = typer.Typer(help="Publish a limit set, or show the one that is published.")

Name = Annotated[str, typer.Option(help="The name that checks ask for.")]


@app.command()
def publish(
    path: Annotated[Path, typer.Argument(metavar="LIMITS", help="TOML with a table per limit.")],
    name: Name = DEFAULT_NAME,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Read limits and hold all later checks against them."""
    with progress("Reading limits ..."):
        limit_set = read_limits(path)
    with RiskClient(url_of(broker_url)) as risk, progress("Publishing ..."):
        version = risk.publish_limits(limit_set, name)
    if as_json:
        print_json({"name": name, "id": limit_set.id, "version": version})
    else:
        typer.echo(f"Published {name}: {len(limit_set.limits)} limits, version {version}")


@app.command()
def show(name: Name = DEFAULT_NAME, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Show the limits that checks are held against."""
    with connect(url_of(broker_url)) as client:
        store = LimitStore(client)
        version = store.current().get(name)
        if version is None:
            raise UnknownLimitSetError(f"No limit set {name!r} is published.", field="name")
        limit_set = store.load(version)
    if as_json:
        print_json({"name": name, "version": version, **limit_set_document(limit_set)})
    else:
        Console().print(limits_table(limit_set))
