"""`worker`, `scheduler`, `gateway` and `flower`: the roles of a system, one process each."""

from __future__ import annotations

from typing import Annotated

import typer

from risk_tasks.cli.console import BrokerUrl, read_settings

app = typer.Typer()

Name = Annotated[str | None, typer.Option(help="Unique name; default: a generated one.")]
StartTimeout = Annotated[
    float | None,
    typer.Option(help="Seconds to wait for a server that is away; default: without end."),
]


@app.command()
def worker(
    broker_url: BrokerUrl = None,
    lanes: Annotated[
        str | None, typer.Option(help="Lanes to serve, separated by commas, most urgent first.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Threads that compute.")] = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, max=1_024, help="Shards of the normal and batch lane."),
    ] = None,
    name: Name = None,
    start_timeout: StartTimeout = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C; it finishes started checks first."""
    from risk_tasks.roles.worker import run_worker

    settings = read_settings(
        broker_url,
        lanes=lanes,
        concurrency=concurrency,
        shards=shards,
        start_timeout_s=start_timeout,
    )
    raise typer.Exit(run_worker(settings, name=name))


@app.command()
def scheduler(
    broker_url: BrokerUrl = None,
    schedule: Annotated[
        str | None, typer.Option(help="Periodic tasks, TOML.", metavar="FILE")
    ] = None,
    name: Name = None,
    start_timeout: StartTimeout = None,
) -> None:
    """Run a scheduler until SIGTERM or Ctrl-C; of several, one holds the lock."""
    from risk_tasks.roles.scheduler import read_schedule, run_scheduler

    read = read_schedule(schedule) if schedule else None
    settings = read_settings(broker_url, start_timeout_s=start_timeout)
    raise typer.Exit(run_scheduler(settings, name=name, schedule=read))


@app.command()
def gateway(
    broker_url: BrokerUrl = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on; 0: a free one.")
    ] = None,
    name: Name = None,
    start_timeout: StartTimeout = None,
) -> None:
    """Run the HTTP gateway until SIGTERM or Ctrl-C; it finishes started requests first."""
    from risk_tasks.roles.gateway import run_gateway

    settings = read_settings(
        broker_url, gateway_host=host, gateway_port=port, start_timeout_s=start_timeout
    )
    raise typer.Exit(run_gateway(settings, name=name))


@app.command()
def flower(
    broker_url: BrokerUrl = None,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 5555,
    url_prefix: Annotated[
        str | None, typer.Option(help="Path below which the pages are, such as flower.")
    ] = None,
    name: Name = None,
    start_timeout: StartTimeout = None,
) -> None:
    """Run Flower, read-only and with a password, until SIGTERM or Ctrl-C."""
    from risk_tasks.roles.flower import run_flower

    settings = read_settings(
        broker_url, flower_url_prefix=url_prefix, start_timeout_s=start_timeout
    )
    raise typer.Exit(run_flower(settings, address=address, port=port, name=name))
