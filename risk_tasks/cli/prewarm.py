"""`prewarm`: what is computed before it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from risk_tasks.cli.options import AsJson, BrokerUrl, print_json, url_of
from risk_tasks.connection import connect
from risk_tasks.store.prewarm import Popular, PopularityStore, PrewarmStore


def prewarm(
    show: Annotated[bool, typer.Option("--show", help="Print how prewarming stands.")] = True,
    n: Annotated[int, typer.Option("--requests", min=1, help="How many of them to list.")] = 20,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what is asked for most, what of it is warm and since when, and what comes next."""
    with connect(url_of(broker_url)) as client:
        document = _document(PrewarmStore(client), PopularityStore(client).top(n))
    if as_json:
        print_json(document)
    else:
        _print(document)


def _document(store: PrewarmStore, popular: list[Popular]) -> dict[str, Any]:
    last, since, waiting = store.last(), store.warm_since(), store.remaining()
    place = {digest: at for at, digest in enumerate(waiting, start=1)}
    (runs, warmed, spent_s), now_s = store.totals(), store.now_s()
    return {
        "last_run": None
        if last is None
        else {
            "reason": last.reason,
            "at": _moment(last.at_s),
            "market_id": last.market_id,
            "requests": last.n_requests,
        },
        "runs": runs,
        "warmed": warmed,
        "spent_s": spent_s,
        "waiting": len(waiting),
        "requests": [
            {
                "request": one.digest,
                "asked": round(one.count, 3),
                **_what(one.request),
                "warm_since": _moment(since[one.digest]) if one.digest in since else None,
                "warm_age_s": round(now_s - since[one.digest], 3) if one.digest in since else None,
                "comes_next_as": place.get(one.digest),
            }
            for one in popular
        ],
    }


def _what(request: bytes) -> dict[str, Any]:
    asked = msgspec.json.decode(request)
    return {"positions": len(asked["positions"]), "measures": asked["measures"]}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _print(document: dict[str, Any]) -> None:
    last, console = document["last_run"], Console()
    if last is None:
        console.print("Nothing was warmed yet: no scheduler ran, or no market is published.")
    else:
        console.print(
            f"Last run {last['at']} ({last['reason']}): {last['requests']} requests on market"
            f" {last['market_id'][:12]}, {document['waiting']} of them still waiting."
        )
        console.print(
            f"{document['runs']} runs, {document['warmed']} requests warmed,"
            f" {document['spent_s']:.1f} s of computing."
        )
    if not document["requests"]:
        console.print("No measure that is worth keeping was asked for lately.")
        return
    table = Table("asked", "positions", "warm since", "next", box=None, pad_edge=False)
    table.add_column("measures", overflow="fold")
    for one in document["requests"]:
        age_s = one["warm_age_s"]
        table.add_row(
            f"{one['asked']:.1f}",
            str(one["positions"]),
            "cold" if age_s is None else f"{age_s:.0f} s",
            str(one["comes_next_as"] or ""),
            "\n".join(one["measures"]),
        )
    console.print(table)


def add_to(app: typer.Typer) -> None:
    app.command()(prewarm)
