"""`listeners add|rm|list`: Celery queues that are told of changes of state of limits."""

from __future__ import annotations

from typing import Annotated

import typer

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.connection import connect
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.store.breaches import NOW, BreachStream, ListenerStore

app = typer.Typer(help="Celery queues that receive risk.limit_breach for each change of state.")

Queue = Annotated[str, typer.Argument(help="A queue of your own, which your workers read.")]


@app.command()
def add(
    queue: Queue,
    since: Annotated[
        str, typer.Option(help="The id of a change, 0 for all that are kept, $ for new ones.")
    ] = NOW,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Tell QUEUE of every change from now on."""
    with connect(url_of(broker_url)) as client:
        place = BreachStream(client).position(since)
        is_new = ListenerStore(client).add(queue, place)
    if as_json:
        print_json({"queue": queue, "added": is_new})
    else:
        typer.echo(f"{queue} {'is told of every change' if is_new else 'was told already'}")


@app.command()
def rm(queue: Queue, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Tell QUEUE no longer; what is in it stays."""
    with connect(url_of(broker_url)) as client:
        was_there = ListenerStore(client).remove(queue)
    if not was_there:
        raise InvalidSettingsError(
            f"Nobody listens on {queue!r}.",
            field="queue",
            remedy="`risk-tasks listeners list` shows who does.",
        )
    if as_json:
        print_json({"queue": queue, "removed": True})
    else:
        typer.echo(f"{queue} is told no longer")


@app.command("list")
def list_listeners(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the queues, what waits in each, and the last change that each was told of."""
    with connect(url_of(broker_url)) as client:
        told = sorted(ListenerStore(client).all().items())
        rows = [
            {"queue": queue, "unread": client.llen(queue), "told": place} for queue, place in told
        ]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("No queue listens. Add one with: risk-tasks listeners add QUEUE")
    else:
        for row in rows:
            typer.echo(f"{row['queue']}  {row['unread']} unread, told up to {row['told']}")
