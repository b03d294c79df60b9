"""`positions set|change|show|rm|list`: portfolios that the system holds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from risk_tasks.cli.options import AsJson, BrokerUrl, laid_out, print_json, url_of
from risk_tasks.cli.progress import progress
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.errors import InvalidPortfolioError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers import read_portfolios
from risk_tasks.render.live import positions_table, summaries_table
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.wire.documents import portfolio_document

app = typer.Typer(help="Hold portfolios on the server, change and show them.")

T = TypeVar("T")

Id = Annotated[str, typer.Argument(metavar="ID", help="Of a live portfolio.")]
EventId = Annotated[
    str | None, typer.Option(help="The same one twice within a day changes nothing.")
]


@app.command("set")
def set_portfolios(
    book: Annotated[
        str, typer.Argument(metavar="BOOK|ID", help="A file as `check` reads it, or an id.")
    ],
    positions: Annotated[
        list[str] | None, typer.Argument(metavar="[INSTRUMENT=QUANTITY]...", help="With an id.")
    ] = None,
    cash: Annotated[float | None, typer.Option(help="In base currency, with an id.")] = None,
    nav: Annotated[float | None, typer.Option(help="In base currency, with an id.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="Repeat for each, with an id.")
    ] = None,
    event_id: EventId = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Hold the portfolios of a file, or one that is written out, in place of what is held."""
    if positions:
        held, tags = _numbers(positions, "positions"), dict(_pair(one, "tag") for one in tag or ())
        portfolios = [Portfolio(book, held, cash=cash, nav=nav, tags=tags)]
    elif cash is not None or nav is not None or tag:
        raise InvalidPortfolioError(
            "A file says itself what belongs to its portfolios.",
            field="--cash" if cash is not None else "--nav" if nav is not None else "--tag",
            remedy="Write it there, or give an ID and its positions.",
        )
    else:
        with progress("Reading the book ..."):
            portfolios = read_portfolios(Path(book))
    with RiskClient(url_of(broker_url)) as risk:
        versions = _each(
            {one.id: one for one in portfolios},
            lambda one: risk.set_portfolio(one, event_id=event_id),
            "Holding",
        )
    _print_versions(versions, as_json=as_json)


@app.command()
def change(
    portfolio_id: Id,
    deltas: Annotated[
        list[str], typer.Argument(metavar="INSTRUMENT=DELTA...", help="What is added, or taken.")
    ],
    event_id: EventId = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add to positions in one step: `positions change fund-7 AAPL=-100 XOM=50`."""
    numbers = _numbers(deltas, "deltas")
    with RiskClient(url_of(broker_url)) as risk:
        version = risk.change_positions(portfolio_id, numbers, event_id=event_id)
    _print_versions({portfolio_id: version}, as_json=as_json)


@app.command()
def show(portfolio_id: Id, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Show what is held, to the last digit."""
    with RiskClient(url_of(broker_url)) as risk:
        portfolio = risk.get_portfolio(portfolio_id)
    if as_json:
        print_json({**portfolio_document(portfolio), "version": portfolio.version})
    else:
        Console().print(positions_table(portfolio))


@app.command()
def rm(
    portfolio_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Of live portfolios.")
    ],
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Hold portfolios no longer; their limits that are not ok become so."""
    with RiskClient(url_of(broker_url)) as risk:
        versions = _each({one: one for one in portfolio_ids}, risk.remove_portfolio, "Removing")
    _print_versions(versions, as_json=as_json, word="ended at version")


@app.command("list")
def list_portfolios(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the live portfolios with the age of their reports and the limits that are not ok."""
    with progress("Reading the live portfolios ..."), connect(url_of(broker_url)) as client:
        store = PortfolioStore(client)
        summaries = store.summaries(store.ids())
    if as_json:
        print_json(
            [
                {
                    "id": one.portfolio_id,
                    "version": one.version,
                    "reported": one.reported,
                    "age_s": one.age_s,
                    "limits": dict(one.states),
                }
                for one in summaries
            ]
        )
    elif not summaries:
        typer.echo("No portfolio is live. Hold some with: risk-tasks positions set BOOK")
    else:
        with progress("Writing ..."):
            text = laid_out(Console(), summaries_table(summaries))
        sys.stdout.write(text)


def _each(asked: Mapping[str, T], call: Callable[[T], int], doing: str) -> dict[str, int]:
    """Return what `call` answers for each of `asked`, one after the other."""
    versions = {}
    with progress(f"{doing} ...") as tell:
        for number, (name, one) in enumerate(asked.items(), 1):
            tell(f"{doing} portfolio {number:,} of {len(asked):,} ...")
            versions[name] = call(one)
    return versions


def _print_versions(
    versions: Mapping[str, int], *, as_json: bool, word: str = "is of version"
) -> None:
    if as_json:
        print_json([{"id": name, "version": version} for name, version in versions.items()])
        return
    for name, version in versions.items():
        typer.echo(f"{name} {word} {version}")


def _numbers(words: list[str], field: str) -> dict[str, float]:
    """Return numbers by name; raises `InvalidPortfolioError` for a word that is no pair."""
    found: dict[str, float] = {}
    for word in words:
        name, text = _pair(word, field)
        if name in found:
            raise InvalidPortfolioError(
                f"{name} stands there twice.", field=field, remedy="Give one number for each."
            )
        try:
            found[name] = float(text)
        except ValueError:
            raise InvalidPortfolioError(
                f"{text!r} is no number.", field=f"{field}[{name!r}]", remedy=_SPELLING
            ) from None
    return found


_SPELLING = "Write each as NAME=VALUE, such as AAPL=-100."


def _pair(word: str, field: str) -> tuple[str, str]:
    name, mark, text = word.rpartition("=")
    if not mark or not name:
        raise InvalidPortfolioError(f"{word!r} is no pair.", field=field, remedy=_SPELLING)
    return name, text
