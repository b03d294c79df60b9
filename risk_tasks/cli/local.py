"""`demo` and `dev`: whole systems on this machine."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.rule import Rule

from risk_tasks import sample
from risk_tasks.cli.check import CheckedBook, check_book
from risk_tasks.cli.console import AsJson, emit, notes, progress
from risk_tasks.cli.published import market_summary
from risk_tasks.client import RiskClient
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.readers import read_limits, read_market, read_portfolios, read_scenarios
from risk_tasks.render.reports import explanations, report_tables
from risk_tasks.server_url import masked

if TYPE_CHECKING:
    from risk_tasks.embedding import Fleet

_DEMO_TIMEOUT_S = 60.0
_WATCH_EVERY_S = 0.5

app = typer.Typer()


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Start a system on this machine, check the sample portfolios and explain the breaches."""
    from risk_tasks.embedding import FleetPlan, running_fleet

    market = read_market(sample.PRICES, scenarios=read_scenarios(sample.SCENARIOS))
    limits, book = read_limits(sample.LIMITS), read_portfolios(sample.BOOKS)
    started = time.perf_counter()
    with (
        progress("Starting a server, two workers and a scheduler ...") as update,
        running_fleet(FleetPlan(n_workers=2, scheduler=True)) as fleet,
        RiskClient(fleet.url, timeout_s=_DEMO_TIMEOUT_S) as risk,
    ):
        start_ms = (time.perf_counter() - started) * 1e3
        update("Checking ...")
        risk.publish_market(market)
        risk.publish_limits(limits)
        checked = check_book(risk, book, market_summary(market))
        pids = fleet.pids
        update("Stopping ...")
    checked.timings["start_ms"] = round(start_ms, 3)
    emit(checked.document(), _demo_page(checked, market, pids), as_json=as_json)


def _demo_page(
    checked: CheckedBook, market: MarketSnapshot, pids: Mapping[str, int]
) -> RenderableType:
    names = ", ".join(f"{name} (pid {pid})" for name, pid in pids.items())
    timings = checked.timings
    parts: dict[str, RenderableType] = {
        "started": f"{names}, in {timings['start_ms'] / 1e3:.1f} s",
        "market": f"{len(market.instruments)} US shares, {market.n_observations} daily returns, "
        f"as of {market.as_of:%Y-%m-%d}, id {market.id[:12]}",
        "measures (99 %, one day, dollars; losses positive)": report_tables(
            checked.reports, Console().width
        ),
        "breaches": explanations(checked.reports),
        "time": f"{len(checked.reports)} portfolios in {timings['total_ms']:.1f} ms: "
        f"queued {timings['queued_ms']:.1f} ms, computed in {timings['compute_ms']:.1f} ms",
    }
    return Group(
        *(each for title, part in parts.items() for each in (Rule(title, align="left"), part))
    )


@app.command()
def dev(
    workers: Annotated[int, typer.Option(min=1, help="Workers for all lanes.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Threads of each worker.")] = 1,
    shards: Annotated[
        int | None, typer.Option(min=1, max=1_024, help="Shards of the normal and batch lane.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write URLs and process ids as JSON once all roles serve.")
    ] = None,
    broker_url: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of a running server; default: start one.")
    ] = None,
    flower: Annotated[
        bool, typer.Option("--flower", help="Also run Flower, with a password.")
    ] = False,
    gateway: Annotated[
        bool, typer.Option("--gateway", help="Also run the HTTP gateway, on a free port.")
    ] = False,
) -> None:
    """Run a server, workers, a worker of the critical lane and a scheduler until Ctrl-C."""
    from risk_tasks.embedding import FleetPlan, running_fleet

    _require_writable(ready_file)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    plan = FleetPlan(
        n_workers=workers,
        n_shards=shards,
        concurrency=concurrency,
        critical_worker=True,
        scheduler=True,
        flower=flower,
        gateway=gateway,
        log_level="info",
    )
    with ExitStack() as stack:
        with progress("Starting ..."):
            fleet = stack.enter_context(running_fleet(plan, broker_url, stopped))
        if not stopped.is_set():
            _announce(fleet, ready_file)
        while not stopped.wait(_WATCH_EVERY_S):
            for name in fleet.revive():
                notes.print(f"{name} died and was restarted.")
                _write_ready_file(fleet, ready_file)
        with progress("Stopping ..."):
            stack.close()
    notes.print("Stopped.")


def _require_writable(path: Path | None) -> None:
    """Refuse a ready file that cannot be written, and remove one of an earlier run."""
    if path is None:
        return
    try:
        path.touch()
        path.unlink()
    except OSError as error:
        raise InvalidSettingsError(
            f"{path} cannot be written: {error.strerror}.",
            field="--ready-file",
            remedy="Give a file in an existing folder.",
        ) from None


def _announce(fleet: Fleet, ready_file: Path | None) -> None:
    _write_ready_file(fleet, ready_file)
    for name, pid in fleet.pids.items():
        notes.print(f"  {name:<16} pid {pid}", highlight=False)
    notes.print(f"Broker {masked(fleet.url)}, logs in {fleet.folder}", soft_wrap=True)
    if fleet.gateway_url is not None:
        notes.print(f"Gateway {fleet.gateway_url}", soft_wrap=True)
    if fleet.flower is not None:
        notes.print(
            f"Flower {fleet.flower.url}, user {fleet.flower.user}, "
            f"password in {fleet.flower.password_file or 'RISK_TASKS_FLOWER_PASSWORD'}",
            soft_wrap=True,
        )
    notes.print("Next: risk-tasks market publish PRICES --broker-url URL. Ctrl-C stops all roles.")


def _write_ready_file(fleet: Fleet, path: Path | None) -> None:
    """Replace the file atomically: a reader never sees half of it."""
    if path is None:
        return
    document: dict[str, object] = {
        "broker_url": fleet.url,
        "gateway_url": fleet.gateway_url,
        "pids": fleet.pids,
    }
    if fleet.flower is not None:
        document["flower_url"] = fleet.flower.url
        document["flower_password_file"] = str(fleet.flower.password_file or "")
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(document))
    draft.replace(path)
