"""Options and outputs that commands share."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

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


def json_text(document: object) -> str:
    """Return `document` as JSON with its last line end; NaN would be an error."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def laid_out(console: Console, *parts: RenderableType) -> str:
    """Return what `console` would print of `parts`, with an empty line between two.

    A thousand tables take seconds to be laid out, and none to be written.
    """
    with console.capture() as printed:
        for place, part in enumerate(parts):
            if place:
                console.print()
            console.print(part, highlight=False)
    return printed.get()


def print_json(document: object) -> None:
    """Print `document` as the only thing on standard output."""
    sys.stdout.write(json_text(document))
