"""`watch`: changes of state of limits of live portfolios, as they come."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated

import typer
from rich.console import Console

from risk_tasks.cli.options import AsJson, BrokerUrl, url_of
from risk_tasks.client import RiskClient
from risk_tasks.render.live import change_line
from risk_tasks.store.breaches import NOW
from risk_tasks.wire.documents import change_document


def watch(
    since: Annotated[
        str, typer.Option(help="The id of a change, 0 for all that are kept, $ for new ones.")
    ] = NOW,
    group: Annotated[
        str | None, typer.Option(help="Share the changes with the other readers of this group.")
    ] = None,
    reader: Annotated[str | None, typer.Option(help="This reader's name in the group.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    within_s: Annotated[
        float | None, typer.Option(min=0, help="End where none came for so long.")
    ] = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print a line, or with --json an object, for each change until Ctrl-C."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        with RiskClient(url_of(broker_url)) as risk:
            changes = risk.breaches(since, group=group, reader=reader, within_s=within_s)
            for change in islice(changes, count):
                if as_json:
                    print(json.dumps(change_document(change), allow_nan=False), flush=True)
                else:
                    console.print(change_line(change))
    except KeyboardInterrupt:
        return


def add_to(app: typer.Typer) -> None:
    app.command()(watch)
