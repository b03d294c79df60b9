"""`quota set`, `quota remove` and `quota ls`."""

from __future__ import annotations

from typing import Annotated

import typer

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.connection import connect
from risk_tasks.store.quotas import QuotaStore

app = typer.Typer(help="Bound what a client may send to the critical lane.")

Name = Annotated[str, typer.Argument(help="The client_name that a RiskClient gives itself.")]


@app.command("set")
def set_quota(
    name: Name,
    checks_per_s: Annotated[int, typer.Argument(min=1, help="Critical checks a second.")],
    broker_url: BrokerUrl = None,
) -> None:
    """Refuse critical checks of NAME beyond so many a second."""
    with connect(url_of(broker_url)) as client:
        QuotaStore(client).set(name, checks_per_s)
    typer.echo(f"{name} may send {checks_per_s} critical checks a second")


@app.command()
def remove(name: Name, broker_url: BrokerUrl = None) -> None:
    """Bound NAME no longer."""
    with connect(url_of(broker_url)) as client:
        QuotaStore(client).remove(name)
    typer.echo(f"{name} has no quota")


@app.command("ls")
def list_quotas(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the quotas."""
    with connect(url_of(broker_url)) as client:
        quotas = QuotaStore(client).all()
    if as_json:
        print_json([{"name": name, "checks_per_s": rate} for name, rate in sorted(quotas.items())])
    for name, rate in sorted(quotas.items()) if not as_json else ():
        typer.echo(f"{name}  {rate} critical checks a second")
    if not quotas and not as_json:
        typer.echo("No client has a quota.")
