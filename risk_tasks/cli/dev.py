"""`dev`: a whole system on this machine, watched until it is stopped."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risk_tasks.cli.options import notes
from risk_tasks.cli.progress import progress
from risk_tasks.connection import masked
from risk_tasks.errors import InvalidSettingsError

if TYPE_CHECKING:
    from risk_tasks.embedding import Fleet

_WATCH_EVERY_S = 0.5


def dev(
    workers: Annotated[int, typer.Option(min=1, help="Workers for all lanes.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Threads of each worker.")] = 1,
    shards: Annotated[
        int | None, typer.Option(min=1, max=1_024, help="Shards of the normal and batch lane.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Where to write, as JSON, what runs once it answers.")
    ] = None,
    broker_url: Annotated[
        str | None, typer.Option(metavar="URL", help="A running server; our own if not given.")
    ] = None,
    flower: Annotated[
        bool, typer.Option("--flower", help="Flower too, behind a password.")
    ] = False,
    gateway: Annotated[
        bool, typer.Option("--gateway", help="The HTTP gateway too, on a free port.")
    ] = False,
) -> None:
    """Run a server, workers, one critical-only worker and a scheduler until Ctrl-C."""
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
        with progress("Starting (a minute the first time) ..."):
            fleet = stack.enter_context(running_fleet(plan, broker_url, stopped))
        if not stopped.is_set():
            _announce(fleet, ready_file)
        while not stopped.wait(_WATCH_EVERY_S):
            for name in fleet.revive():
                notes.print(f"{name} died and was started again.")
                _write_ready_file(fleet, ready_file)
        with progress("Stopping ..."):
            stack.close()
    notes.print("Stopped.")


def _require_writable(path: Path | None) -> None:
    """Refuse a ready file that could not be written, and remove one of an earlier run."""
    if path is None:
        return
    try:
        path.touch()
        path.unlink()
    except OSError as error:
        raise InvalidSettingsError(
            f"{error.strerror}: {path}.",
            field="--ready-file",
            remedy="Name a file in a folder that is there.",
        ) from None


def _announce(fleet: Fleet, ready_file: Path | None) -> None:
    _write_ready_file(fleet, ready_file)
    for name, pid in fleet.pids.items():
        notes.print(f"  {name:<16} pid {pid}", highlight=False)
    notes.print(f"Broker {masked(fleet.url)}, logs in {fleet.folder}", soft_wrap=True)
    if fleet.gateway is not None:
        notes.print(f"Gateway {fleet.gateway.url}", soft_wrap=True)
    if fleet.flower is not None:
        notes.print(
            f"Flower {fleet.flower.url}, user {fleet.flower.user}, "
            f"password in {fleet.flower.password_file or 'RISK_TASKS_FLOWER_PASSWORD'}",
            soft_wrap=True,
        )
    notes.print("Next: risk-tasks market publish PRICES --broker-url URL. Ctrl-C stops it all.")


def _write_ready_file(fleet: Fleet, path: Path | None) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    if path is None:
        return
    document: dict[str, object] = {
        "broker_url": fleet.url,
        "gateway_url": fleet.gateway.url if fleet.gateway else None,
        "pids": fleet.pids,
    }
    if fleet.flower is not None:
        document["flower_url"] = fleet.flower.url
        document["flower_password_file"] = str(fleet.flower.password_file or "")
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(document))
    draft.replace(path)


def add_to(app: typer.Typer) -> None:
    app.command()(dev)
