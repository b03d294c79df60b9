"""The command `risk-tasks`.

Exit codes: 0 success, 1 an error that is printed with its remedy, 2 wrong usage, 130 Ctrl-C. With
`--exit-code`: 3 if `check` rejects a portfolio, 4 if a VaR fails its `backtest`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from risk_tasks.errors import RiskTasksError, missing_extras_named

#: the module of this package that has each command, in the order of the help page
_MODULE_OF_COMMAND = {
    "demo": "local",
    "dev": "local",
    "check": "check",
    "backtest": "check",
    "measures": "published",
    "market": "published",
    "limits": "published",
    "positions": "portfolios",
    "report": "portfolios",
    "watch": "portfolios",
    "status": "monitor",
    "top": "monitor",
    "prewarm": "monitor",
    "doctor": "monitor",
    "listeners": "operate",
    "dlq": "operate",
    "quota": "operate",
    "worker": "roles",
    "scheduler": "roles",
    "gateway": "roles",
    "flower": "roles",
}


class _LazyCommands(Mapping[str, Any]):
    """Every command by name; the module of a command is imported when the command is looked up."""

    def __getitem__(self, name: str) -> Any:
        module = import_module(f"{__name__}.{_MODULE_OF_COMMAND[name]}")
        return typer.main.get_group(module.app).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULE_OF_COMMAND)

    def __len__(self) -> int:
        return len(_MODULE_OF_COMMAND)


class _LazyGroup(TyperGroup):
    """The command `risk-tasks`: one command does not import the modules of the others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _LazyCommands()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


app = typer.Typer(
    name="risk-tasks",
    cls=_LazyGroup,
    help="Risk checks at any volume: measures, limits and breaches over Celery, Redis and Numba.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """Make `app` a group, though its commands are not registered on it."""


def main() -> None:
    """Run the command line; a `RiskTasksError` becomes two lines on standard error, exit code 1."""
    try:
        with missing_extras_named():
            app()
    except RiskTasksError as error:
        field = f"{error.field}: " if error.field else ""
        print(f"risk-tasks: {field}{error.message}\n{error.remedy}", file=sys.stderr)
        sys.exit(1)
