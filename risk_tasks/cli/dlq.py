"""`dlq ls|show|replay|drop`: blocks that were given up, and messages that no worker may see."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from risk_tasks.broker.dead_letters import DeadLetter, DeadLetters
from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, read_settings, url_of
from risk_tasks.cli.progress import progress
from risk_tasks.connection import connect
from risk_tasks.keys import MAX_DEAD

app = typer.Typer(help="Look at the dead letters, try them once more, or drop them.")

LetterId = Annotated[str, typer.Argument(metavar="ID", help="As `dlq ls` prints it.")]


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "died_at": letter.died_at.isoformat(timespec="milliseconds"),
        "lane": letter.lane,
        "checks": letter.n_checks,
        "requeues": letter.n_requeues,
        "replayable": letter.is_replayable,
        "reason": letter.reason,
    }


@app.command("ls")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = MAX_DEAD,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters, the latest first."""
    with progress("Reading the dead letters ..."), connect(url_of(broker_url)) as client:
        rows = [_summary(letter) for letter in DeadLetters(client).letters(limit)]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("No dead letters.")
    else:
        table = Table(box=None)
        for heading in rows[0]:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(str(cell).replace("[", r"\[") for cell in row.values()))
        Console().print(table)


@app.command()
def show(letter_id: LetterId, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Show one letter with its original bytes."""
    with connect(url_of(broker_url)) as client:
        letter = DeadLetters(client).letter(letter_id)
    envelope = letter.envelope.decode(errors="backslashreplace")
    if as_json:
        payload = base64.b64encode(letter.payload).decode()
        print_json({**_summary(letter), "envelope": envelope, "payload_base64": payload})
        return
    for name, value in _summary(letter).items():
        typer.echo(f"{name:<12}{value}")
    typer.echo(f"{'payload':<12}{len(letter.payload)} bytes")
    typer.echo(f"{'envelope':<12}{envelope!a}")


@app.command()
def replay(letter_id: LetterId, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Put a block on its lane once more; its answer is kept for fifteen minutes."""
    timeout_s = read_settings(broker_url).timeout_s
    with connect(url_of(broker_url)) as client:
        DeadLetters(client).replay(letter_id, timeout_s=timeout_s)
    if as_json:
        print_json({"id": letter_id, "replayed": True})
    else:
        typer.echo(f"Replayed {letter_id}")


@app.command()
def drop(letter_id: LetterId, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Remove a letter for good."""
    with connect(url_of(broker_url)) as client:
        DeadLetters(client).remove(letter_id)
    if as_json:
        print_json({"id": letter_id, "dropped": True})
    else:
        typer.echo(f"Dropped {letter_id}")
