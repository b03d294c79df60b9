"""Options, output and progress that all commands share.

With `--json` a command prints one JSON document on standard output and nothing else. Progress and
notes go to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from typer.core import TyperGroup

from risk_tasks.connection import Server, connect
from risk_tasks.settings import Settings

if TYPE_CHECKING:
    from risk_tasks.client import RiskClient

BrokerUrl = Annotated[
    str | None,
    typer.Option(help="URL of the running system; default: RISK_TASKS_BROKER_URL.", metavar="URL"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]

#: former names of commands
_RENAMED = {"ls": "list", "rm": "remove", "drop": "remove"}
_FRAMES_PER_S = 12.5

#: for people, beside the output of a command
notes = Console(stderr=True)

#: replaces the message of a progress line
Update = Callable[[str], None]


class Commands(TyperGroup):
    """A group of commands that refuses former names with the new ones."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name in _RENAMED and name not in self.commands:
            ctx.fail(f"Command {name!r} has a new name: use {ctx.command_path} {_RENAMED[name]}.")
        return super().resolve_command(ctx, args)


def read_settings(broker_url: str | None = None, **overrides: Any) -> Settings:
    """Read the environment; options of the command line have precedence."""
    return Settings.read(broker_url=broker_url, **overrides)


def url_of(broker_url: str | None) -> str:
    return read_settings(broker_url).broker_url.get_secret_value()


def open_server(broker_url: str | None) -> Server:
    """Return a client of the server, whose writes wait for the replicas of the settings."""
    settings = read_settings(broker_url)
    return connect(
        settings.broker_url.get_secret_value(),
        replicas_required=settings.replicas_required,
        failover_s=settings.timeout_s,
    )


def open_client(broker_url: str | None, **options: Any) -> RiskClient:
    """Return a `RiskClient`, whose writes wait for the replicas of the settings."""
    # The container of Flower has this command without Arrow.
    from risk_tasks.client import RiskClient

    settings = read_settings(broker_url)
    url = settings.broker_url.get_secret_value()
    return RiskClient(url, replicas_required=settings.replicas_required, **options)


def emit(
    document: object,
    shown: RenderableType | Callable[[], RenderableType],
    *,
    as_json: bool,
    width: int | None = None,
) -> None:
    """Print `document` as JSON, or `shown` for people; `width` is in characters.

    A large table is passed as a function, which is not called for JSON.
    """
    with progress("Writing ..."):
        if as_json:
            text = json_text(document)
        else:
            text = printed(shown() if callable(shown) else shown, Console(width=width))
    sys.stdout.write(text)


def json_text(document: object) -> str:
    """Return `document` as JSON that ends with a newline. Raises `ValueError` for NaN."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def printed(shown: RenderableType, console: Console) -> str:
    """Return what `console` prints for `shown`. Long strings are not wrapped."""
    with console.capture() as capture:
        is_text = isinstance(shown, str)
        console.print(shown, highlight=False, markup=False, soft_wrap=is_text)
    return capture.get()


@contextmanager
def progress(message: str, *, still: bool = False) -> Iterator[Update]:
    """Show `message` on standard error until the block ends; yield a function that replaces it.

    Only a terminal shows it. `still` disables the animation and its thread, for measurements.
    """
    # rich takes FORCE_COLOR for a terminal, which a coloured log file is not.
    if not (notes.file.isatty() and notes.is_interactive):
        yield lambda _: None
        return
    spinner = Spinner("dots", Text(message), style="status.spinner")
    with Live(
        spinner,
        console=notes,
        auto_refresh=not still,
        refresh_per_second=_FRAMES_PER_S,
        transient=True,
        redirect_stdout=_shares_terminal(),
    ) as live:
        refreshed_s = 0.0

        def update(message: str) -> None:
            nonlocal refreshed_s
            spinner.update(text=Text(message))
            # Refresh at once: the next step may end before the next frame. A counter may skip
            # frames.
            if still or time.monotonic() - refreshed_s >= 1 / _FRAMES_PER_S:
                refreshed_s = time.monotonic()
                live.refresh()

        yield update


def _shares_terminal() -> bool:
    """Whether standard output and standard error are one terminal.

    Only then rich may redirect standard output: it sends it to standard error.
    """
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.fstat(notes.file.fileno()))
    except OSError:
        return False
