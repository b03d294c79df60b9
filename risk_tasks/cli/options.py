"""Options and outputs that commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from risk_tasks.settings import Settings

BrokerUrl = Annotated[
    str | None,
    typer.Option(help="The running system; RISK_TASKS_BROKER_URL where not given.", metavar="URL"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]

#: for people, beside what a command prints
notes = Console(stderr=True)


def read_settings(broker_url: str | None = None, **overrides: Any) -> Settings:
    """Read the environment, with what the command line says before it."""
    return Settings.read(broker_url=broker_url, **overrides)


def url_of(broker_url: str | None) -> str:
    return read_settings(broker_url).broker_url.get_secret_value()


def print_json(document: object, stream: TextIO | None = None) -> None:
    """Print `document` as the only thing on standard output; NaN would be an error."""
    stream = stream or sys.stdout
    json.dump(document, stream, indent=2, allow_nan=False)
    stream.write("\n")


@contextmanager
def progress(message: str) -> Iterator[None]:
    """Show `message` while something takes its time, on a terminal only."""
    if not notes.is_terminal:
        yield
        return
    with notes.status(message):
        yield
