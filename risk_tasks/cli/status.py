"""`status` and `top`: how a running system does, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import redis
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.cli.progress import progress
from risk_tasks.connection import connect, masked
from risk_tasks.errors import TransportError
from risk_tasks.keys import SLOTS_KEPT_S
from risk_tasks.monitoring.shards import read_shards
from risk_tasks.monitoring.status import WINDOW_S, read_status
from risk_tasks.render.cache import cache_document, cache_page
from risk_tasks.render.shards import shards_page
from risk_tasks.render.status import status_page
from risk_tasks.store.roles import CacheCountsStore

_COLUMNS = 80

Seconds = Annotated[
    float, typer.Option(min=5, max=SLOTS_KEPT_S - 5, help="How far back to look, in steps of 5 s.")
]


def status(
    window_s: Seconds = WINDOW_S,
    cache: Annotated[
        bool, typer.Option("--cache", help="What the result cache keeps, and what it did.")
    ] = False,
    shards: Annotated[
        bool, typer.Option("--shards", help="Who leases which shard, and what waits there.")
    ] = False,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print response times, rates, errors and lanes of the last seconds."""
    with connect(url_of(broker_url)) as client:
        if cache:
            counts = CacheCountsStore(client)
            document = cache_document(counts.sums(), counts.states())
            print_json(document) if as_json else _console().print(cache_page(document))
            return
        if shards:
            lanes = read_shards(client)
            told = {name: asdict(lane) for name, lane in lanes.items()}
            print_json(told) if as_json else _console().print(shards_page(lanes))
            return
        with progress("Adding up what the workers measured ..."):
            found = read_status(client, window_s)
    if as_json:
        print_json(asdict(found))
    else:
        _console().print(status_page(found))


def top(
    interval_s: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    window_s: Seconds = WINDOW_S,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    broker_url: BrokerUrl = None,
) -> None:
    """Show the same again and again until Ctrl-C; on no terminal, once."""
    url = url_of(broker_url)
    console = _console()
    with connect(url) as client:
        if once or not console.is_terminal:
            console.print(status_page(read_status(client, window_s)))
            return
        with _until_interrupted(), Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(_look(client, url, window_s), refresh=True)
                time.sleep(interval_s)


def _look(client: redis.Redis, url: str, window_s: float) -> RenderableType:
    """Return the page; a server that is away comes back, so that this is a line and no end."""
    words = f"risk-tasks top  {time.strftime('%H:%M:%S')}  {masked(url)}"
    head = Text(words, style="bold", no_wrap=True, overflow="ellipsis")
    try:
        page = status_page(read_status(client, window_s))
    except TransportError as error:
        page = Text(str(error), style="red")
    return Group(head, page)


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        return


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_COLUMNS)


def add_to(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(top)
