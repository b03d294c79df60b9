"""`positions`, `report` and `watch`: live portfolios, their reports and their breaches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console, Group, RenderableType

from risk_tasks.cli.console import (
    AsJson,
    BrokerUrl,
    Commands,
    emit,
    open_client,
    open_server,
    progress,
)
from risk_tasks.errors import InvalidPortfolioError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers import read_portfolios
from risk_tasks.render.live import age_line, change_line, positions_table, summaries_table
from risk_tasks.render.reports import explanations, report_tables
from risk_tasks.store.breaches import NOW
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.wire.documents import (
    change_document,
    live_report_document,
    portfolio_document,
)

app = typer.Typer()
positions = typer.Typer(cls=Commands, help="Set, change, show, remove or list live portfolios.")
app.add_typer(positions, name="positions")

T = TypeVar("T")

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a live portfolio.")]
EventId = Annotated[
    str | None, typer.Option(help="Id of the change; the same id within a day changes nothing.")
]
_SPELLING = "Write each one as NAME=VALUE, such as AAPL=-100."


@positions.command("set")
def set_portfolios(
    book: Annotated[
        str, typer.Argument(metavar="BOOK|ID", help="A file of portfolios, or the id of one.")
    ],
    holdings: Annotated[
        list[str] | None,
        typer.Argument(metavar="INSTRUMENT=QUANTITY", help="Positions of portfolio ID."),
    ] = None,
    cash: Annotated[
        float | None, typer.Option(help="Cash of portfolio ID, in base currency.")
    ] = None,
    nav: Annotated[
        float | None, typer.Option(help="Net asset value of portfolio ID, in base currency.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TEXT",
            help="A tag of portfolio ID; or for a file, NAME of a column that is a tag although it "
            "looks like an amount; repeatable.",
        ),
    ] = None,
    event_id: EventId = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Create or replace the portfolios of file BOOK, or portfolio ID with these positions."""
    if holdings:
        quantities = _numbers(holdings, "positions")
        tags = dict(_pair(one, "tag") for one in tag or ())
        portfolios = [Portfolio(book, quantities, cash=cash, nav=nav, tags=tags)]
    elif cash is not None or nav is not None or any("=" in one for one in tag or ()):
        raise InvalidPortfolioError(
            "--cash, --nav and --tag NAME=TEXT need an ID with positions: a file contains its own.",
            field="--cash" if cash is not None else "--nav" if nav is not None else "--tag",
            remedy="Write them into the file, or give an ID and its positions.",
        )
    else:
        with progress("Reading the book ..."):
            portfolios = read_portfolios(Path(book), tags=tag or ())
    with open_client(broker_url) as risk:
        versions = _each(
            {one.id: one for one in portfolios},
            lambda one: risk.set_portfolio(one, event_id=event_id),
            "Setting",
        )
    _emit_versions(versions, as_json=as_json)


@positions.command("change")
def change_positions(
    portfolio_id: Id,
    deltas: Annotated[
        list[str], typer.Argument(metavar="INSTRUMENT=DELTA", help="Signed changes.")
    ],
    event_id: EventId = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add to positions in one atomic step: `positions change fund-7 AAPL=-100 XOM=50`."""
    numbers = _numbers(deltas, "deltas")
    with open_client(broker_url) as risk:
        version = risk.change_positions(portfolio_id, numbers, event_id=event_id)
    _emit_versions({portfolio_id: version}, as_json=as_json)


@positions.command("show")
def show_portfolio(portfolio_id: Id, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Show the positions of a live portfolio with all digits."""
    with open_client(broker_url) as risk:
        portfolio = risk.get_portfolio(portfolio_id)
    document = {**portfolio_document(portfolio), "version": portfolio.version}
    emit(document, positions_table(portfolio), as_json=as_json)


@positions.command("remove")
def remove_portfolios(
    portfolio_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Live portfolios.")],
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Remove live portfolios; each limit that is not ok changes to none."""
    with open_client(broker_url) as risk:
        versions = _each({one: one for one in portfolio_ids}, risk.remove_portfolio, "Removing")
    _emit_versions(versions, as_json=as_json, words="removed at version")


@positions.command("list")
def list_portfolios(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the live portfolios with the age of their reports and their limits that are not ok."""
    with progress("Reading the live portfolios ..."), open_server(broker_url) as client:
        store = PortfolioStore(client)
        summaries = store.summaries(store.ids())
    rows = [
        {
            "id": one.portfolio_id,
            "version": one.version,
            "reported": one.reported,
            "age_s": one.age_s,
            "limits": dict(one.states),
        }
        for one in summaries
    ]
    nothing = "No live portfolios. Set some with: risk-tasks positions set BOOK"
    emit(rows, lambda: summaries_table(summaries) if rows else nothing, as_json=as_json)


@app.command()
def report(portfolio_id: Id, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Print the latest report of a live portfolio with its version and age."""
    with open_client(broker_url) as risk:
        latest = risk.report(portfolio_id)
    if latest is None:
        emit(None, f"The first report of {portfolio_id} is not complete.", as_json=as_json)
        return
    parts: list[RenderableType] = [
        age_line(latest),
        report_tables([latest.report], Console().width),
        explanations([latest.report]),
    ]
    emit(live_report_document(latest), Group(*parts), as_json=as_json)


@app.command()
def watch(
    since: Annotated[
        str, typer.Option(help="Start after this id; 0: all stored changes, $: new ones only.")
    ] = NOW,
    group: Annotated[
        str | None, typer.Option(help="Share the changes with other readers of this group.")
    ] = None,
    reader: Annotated[str | None, typer.Option(help="Name of this reader in the group.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after N changes.")] = None,
    idle_timeout_s: Annotated[
        float | None, typer.Option(min=0, help="Stop after this time without a change.")
    ] = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print each change of state of a limit until Ctrl-C: a line, or with --json an object."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        with open_client(broker_url) as risk:
            changes = risk.breaches(
                since, group=group, reader=reader, idle_timeout_s=idle_timeout_s
            )
            for change in islice(changes, count):
                if as_json:
                    print(json.dumps(change_document(change), allow_nan=False), flush=True)
                else:
                    console.print(change_line(change))
    except KeyboardInterrupt:
        return


def _each(items: Mapping[str, T], call: Callable[[T], int], doing: str) -> dict[str, int]:
    """Return what `call` returns for each item, in sequence."""
    versions = {}
    with progress(f"{doing} ...") as update:
        for number, (name, item) in enumerate(items.items(), 1):
            update(f"{doing} portfolio {number:,} of {len(items):,} ...")
            versions[name] = call(item)
    return versions


def _emit_versions(
    versions: Mapping[str, int], *, as_json: bool, words: str = "has version"
) -> None:
    document = [{"id": name, "version": version} for name, version in versions.items()]
    lines = "\n".join(f"{name} {words} {version}" for name, version in versions.items())
    emit(document, lines, as_json=as_json)


def _numbers(words: list[str], field: str) -> dict[str, float]:
    """Return numbers by name. Raises `InvalidPortfolioError` for a word that is not a pair."""
    found: dict[str, float] = {}
    for word in words:
        name, text = _pair(word, field)
        if name in found:
            raise InvalidPortfolioError(
                f"{name!r} appears twice: expected one number for each name.",
                field=field,
                remedy="Give the sum.",
            )
        try:
            found[name] = float(text)
        except ValueError:
            raise InvalidPortfolioError(
                f"{text!r} is not a number.", field=f"{field}[{name!r}]", remedy=_SPELLING
            ) from None
    return found


def _pair(word: str, field: str) -> tuple[str, str]:
    name, mark, text = word.rpartition("=")
    if not mark or not name:
        raise InvalidPortfolioError(
            f"{word!r} is not a pair NAME=VALUE.", field=field, remedy=_SPELLING
        )
    return name, text
