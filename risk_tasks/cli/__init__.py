"""The command `risk-tasks`.

Exit codes: 0 done, 1 an error that is printed with its remedy, 2 wrong usage, 130 Ctrl-C; where
`--exit-code` asks for it, 3 a portfolio that `check` rejects, 4 a VaR that fails its `backtest`.
"""

from __future__ import annotations

import sys

import typer

from risk_tasks.cli import (
    backtest,
    check,
    demo,
    dev,
    dlq,
    doctor,
    limits,
    listeners,
    market,
    measures,
    positions,
    prewarm,
    quota,
    report,
    roles,
    status,
    watch,
)
from risk_tasks.errors import RiskTasksError, missing_extras_named

app = typer.Typer(
    name="risk-tasks",
    help="Risk checks at any volume: measures, limits and breaches over Celery, Redis and Numba.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for part in (demo, dev, check, backtest, measures, report, watch, prewarm, doctor, status, roles):
    part.add_to(app)
app.add_typer(market.app, name="market")
app.add_typer(limits.app, name="limits")
app.add_typer(positions.app, name="positions")
app.add_typer(listeners.app, name="listeners")
app.add_typer(dlq.app, name="dlq")
app.add_typer(quota.app, name="quota")


def main() -> None:
    """Run the command line; an error of ours is two lines on standard error and exit code 1."""
    try:
        with missing_extras_named():
            app()
    except RiskTasksError as error:
        place = f"{error.field}: " if error.field else ""
        print(f"risk-tasks: {place}{error.message}\n{error.remedy}", file=sys.stderr)
        sys.exit(1)
