"""`status`, `top`, `prewarm` and `doctor`: the state of a running system."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import redis
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from risk_tasks.cli.console import (
    AsJson,
    BrokerUrl,
    emit,
    open_server,
    progress,
    url_of,
)
from risk_tasks.connection import connect
from risk_tasks.diagnosis import Finding, State, examine
from risk_tasks.errors import TransportError
from risk_tasks.keys import SLOTS_KEPT_S
from risk_tasks.monitoring.status import WINDOW_S, read_shards, read_status
from risk_tasks.render.monitoring import cache_document, cache_page, shards_page, status_page
from risk_tasks.server_url import masked
from risk_tasks.store.prewarm import Popular, PopularityStore, PrewarmStore
from risk_tasks.store.roles import CacheCountsStore

_COLUMNS = 80
_MARKS = {State.OK: ("ok  ", "green"), State.WARN: ("warn", "yellow"), State.BAD: ("BAD ", "red")}

Seconds = Annotated[
    float, typer.Option(min=5, max=SLOTS_KEPT_S - 5, help="Seconds to look back, in steps of 5.")
]

app = typer.Typer()


@app.command()
def status(
    window_s: Seconds = WINDOW_S,
    cache: Annotated[
        bool, typer.Option("--cache", help="Show the state and counters of the result cache.")
    ] = False,
    shards: Annotated[
        bool, typer.Option("--shards", help="Show the leases and queues of the shards.")
    ] = False,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print response times, rates, errors and lanes of the last seconds."""
    document: Any
    page: RenderableType
    with open_server(broker_url) as client:
        if cache:
            counts = CacheCountsStore(client)
            document = cache_document(counts.sums(), counts.states())
            page = cache_page(document)
        elif shards:
            lanes = read_shards(client)
            document = {name: asdict(lane) for name, lane in lanes.items()}
            page = shards_page(lanes)
        else:
            with progress("Adding up the measurements of the workers ..."):
                found = read_status(client, window_s)
            document, page = asdict(found), status_page(found)
    emit(document, page, as_json=as_json, width=_width())


@app.command()
def top(
    interval_s: Annotated[float, typer.Option(min=0.2, help="Seconds between two updates.")] = 2.0,
    window_s: Seconds = WINDOW_S,
    once: Annotated[bool, typer.Option("--once", help="Print the page once and exit.")] = False,
    broker_url: BrokerUrl = None,
) -> None:
    """Show the page of `status` repeatedly until Ctrl-C; without a terminal, once."""
    url, console = url_of(broker_url), Console(highlight=False, width=_width())
    with connect(url) as client:
        if once or not console.is_terminal:
            console.print(status_page(read_status(client, window_s)))
            return
        with (
            suppress(KeyboardInterrupt),
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while True:
                live.update(_top_page(client, url, window_s), refresh=True)
                time.sleep(interval_s)


def _width() -> int | None:
    return None if Console().is_terminal else _COLUMNS


def _top_page(client: redis.Redis, url: str, window_s: float) -> RenderableType:
    """Return the page; a server that is unreachable for a while is a line on it."""
    words = f"risk-tasks top  {time.strftime('%H:%M:%S')}  {masked(url)}"
    head = Text(words, style="bold", no_wrap=True, overflow="ellipsis")
    try:
        page = status_page(read_status(client, window_s))
    except TransportError as error:
        page = Text(str(error), style="red")
    return Group(head, page)


@app.command()
def prewarm(
    n: Annotated[
        int, typer.Option("--requests", min=1, help="List the N most frequent requests.")
    ] = 20,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the most frequent requests, which of them are warm, and which come next."""
    with open_server(broker_url) as client:
        document = _prewarm_document(PrewarmStore(client), PopularityStore(client).top(n))
    emit(document, _prewarm_page(document), as_json=as_json)


def _prewarm_document(store: PrewarmStore, popular: list[Popular]) -> dict[str, Any]:
    last, since, waiting = store.last(), store.warm_since(), store.remaining()
    position = {digest: at for at, digest in enumerate(waiting, start=1)}
    (runs, warmed, spent_s), now_s = store.totals(), store.now_s()
    last_run = last and {
        "reason": last.reason,
        "at": _timestamp(last.at_s),
        "market_id": last.market_id,
        "requests": last.n_requests,
    }
    requests = []
    for one in popular:
        request, warm_at_s = msgspec.json.decode(one.request), since.get(one.digest)
        requests.append(
            {
                "request": one.digest,
                "requests": round(one.count, 3),
                "positions": len(request["positions"]),
                "measures": request["measures"],
                "warm_since": None if warm_at_s is None else _timestamp(warm_at_s),
                "warm_age_s": None if warm_at_s is None else round(now_s - warm_at_s, 3),
                "comes_next_as": position.get(one.digest),
            }
        )
    return {
        "last_run": last_run,
        "runs": runs,
        "warmed": warmed,
        "spent_s": spent_s,
        "waiting": len(waiting),
        "requests": requests,
    }


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _prewarm_page(document: dict[str, Any]) -> RenderableType:
    last = document["last_run"]
    lines = ["Prewarming has not run: it needs a scheduler and a market."]
    if last is not None:
        lines = [
            f"Last run {last['at']} ({last['reason']}) on market {last['market_id'][:12]}:",
            f"{last['requests']} requests, {document['waiting']} of them still waiting.",
            "{runs} runs, {warmed} requests warmed, {spent_s:.1f} s of computing.".format(
                **document
            ),
        ]
    if not document["requests"]:
        return Group(*lines, "No recent request has a measure that the cache keeps.")
    table = Table("requests", "positions", "warm for", "next", box=None, pad_edge=False)
    table.add_column("measures", overflow="fold")
    for one in document["requests"]:
        age_s = one["warm_age_s"]
        table.add_row(
            f"{one['requests']:.1f}",
            str(one["positions"]),
            "cold" if age_s is None else f"{age_s:.0f} s",
            str(one["comes_next_as"] or ""),
            "\n".join(one["measures"]),
        )
    return Group(*lines, table)


@app.command()
def doctor(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Examine server, workers and queues; exit code 1 if a finding is bad."""
    with progress("Examining the server and sending a check to each lane ..."):
        findings = examine(url_of(broker_url))
    document = [asdict(finding) for finding in findings]
    emit(document, Group(*map(_finding, findings)), as_json=as_json)
    if any(finding.state is State.BAD for finding in findings):
        raise typer.Exit(1)


def _finding(finding: Finding) -> RenderableType:
    line = Text.assemble(_MARKS[finding.state], f"  {finding.subject}: {finding.found}")
    if finding.remedy is None:
        return line
    return Group(line, Text(f"      {finding.remedy}", style="dim"))
