"""`market`, `limits` and `measures`: the inputs of checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from risk_tasks import sample
from risk_tasks.cli.console import (
    AsJson,
    BrokerUrl,
    Commands,
    emit,
    notes,
    open_client,
    open_server,
    progress,
)
from risk_tasks.errors import InvalidSettingsError, NoMarketError, UnknownLimitSetError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.calendar import MAX_GAP_DAYS, Align, Frequency
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.proxies import Proxy
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES
from risk_tasks.model.screening import screened
from risk_tasks.readers import (
    read_limits,
    read_market,
    read_proxies,
    read_scenarios,
    read_tags,
)
from risk_tasks.render.definitions import findings_table, limits_table, measures_table
from risk_tasks.render.tables import rows_table
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.telemetry import SlotStore
from risk_tasks.wire.documents import limit_set_document

app = typer.Typer()
market = typer.Typer(cls=Commands, help="Publish a market, or list the published ones.")
limits = typer.Typer(cls=Commands, help="Publish a limit set, or show a published one.")
app.add_typer(market, name="market")
app.add_typer(limits, name="limits")

Name = Annotated[str, typer.Option(help="The name to publish under.")]


ProxyTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        help="Returns before the first price, as ARM=SPY or ARM=sector:technology; repeatable.",
    ),
]
ProxyFile = Annotated[
    Path | None, typer.Option("--proxies", help='The same as TOML, ARM = "SPY" in each line.')
]


def read_proxy_options(texts: list[str] | None, file: Path | None) -> dict[str, Proxy]:
    """Return the proxies of both options; raises `InvalidSettingsError` for an invalid text."""
    proxies: dict[str, Proxy] = {**(read_proxies(file) if file else {})}
    for text in texts or ():
        instrument, mark, proxy = text.partition("=")
        if not (instrument and mark and proxy) or "=" in proxy or instrument in proxies:
            raise InvalidSettingsError(
                f"Not a proxy: {text!r}; expected ARM=SPY or ARM=sector:technology, and each "
                "instrument once.",
                field="--proxy",
                remedy="Write names that contain = or : in a TOML file, and give --proxies FILE.",
            )
        tag, colon, value = proxy.partition(":")
        proxies[instrument] = {tag: value} if colon else proxy
    return proxies


AlignOption = Annotated[
    Align, typer.Option(help="What a missing price means: common dates, or dropped returns.")
]
MaxGapDays = Annotated[
    int, typer.Option(min=1, help="Leave out returns over more calendar days than this.")
]
FrequencyOption = Annotated[Frequency, typer.Option(help="The time between rows of prices.")]


def read_market_files(
    prices: Path | None,
    scenarios: Path | None = None,
    tags: Path | None = None,
    proxies: Mapping[str, Proxy] | None = None,
    *,
    window_days: int | None = None,
    align: Align = Align.COMMON,
    max_gap_days: int = MAX_GAP_DAYS,
    frequency: Frequency = Frequency.DAILY,
) -> MarketSnapshot:
    """Return the market in these files, without `prices` that of the sample."""
    if prices is None:
        notes.print("No --prices given: using the sample prices of 20 US shares.", style="dim")
    with progress("Reading prices ..."):
        return read_market(
            prices or sample.PRICES,
            window_days=window_days,
            scenarios=read_scenarios(scenarios) if scenarios else {},
            tags=read_tags(tags) if tags else {},
            proxies=proxies or {},
            align=align,
            max_gap_days=max_gap_days,
            frequency=frequency,
        )


def note_findings(findings: Sequence[DataFinding]) -> None:
    """Print what looks wrong in prices on standard error, below the output of a command."""
    if findings:
        notes.print(findings_table(findings))


def market_summary(snapshot: MarketSnapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "as_of": snapshot.as_of.isoformat(),
        "instruments": len(snapshot.instruments),
        "observations": snapshot.n_observations,
    }


def _published(name: str, snapshot: MarketSnapshot) -> dict[str, Any]:
    scenarios, n_findings = sorted(snapshot.scenarios), len(snapshot.findings)
    summary = market_summary(snapshot)
    return {"name": name, **summary, "scenarios": scenarios, "finding_count": n_findings}


def _with_findings(name: str, snapshot: MarketSnapshot) -> dict[str, Any]:
    findings = [asdict(finding) for finding in snapshot.findings]
    return {**_published(name, snapshot), "findings": findings}


@market.command("publish")
def publish_market(
    prices: Annotated[
        Path, typer.Argument(help="CSV or Parquet: a column `date` and one per instrument.")
    ],
    name: Name = DEFAULT_NAME,
    window_days: Annotated[int | None, typer.Option(min=1, help="Use the last N returns.")] = None,
    align: AlignOption = Align.COMMON,
    max_gap_days: MaxGapDays = MAX_GAP_DAYS,
    frequency: FrequencyOption = Frequency.DAILY,
    scenarios: Annotated[Path | None, typer.Option(help="Stress scenarios, TOML.")] = None,
    tags: Annotated[
        Path | None, typer.Option(help="Tags of instruments, TOML, for scenarios by tag.")
    ] = None,
    proxy: ProxyTexts = None,
    proxies: ProxyFile = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse prices that look wrong.")
    ] = False,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Publish prices as the market of all later checks, and print what looks wrong in them."""
    given = read_proxy_options(proxy, proxies)
    market = read_market_files(
        prices,
        scenarios,
        tags,
        given,
        window_days=window_days,
        align=align,
        max_gap_days=max_gap_days,
        frequency=frequency,
    )
    snapshot = screened(market)
    with open_client(broker_url) as risk, progress("Publishing ..."):
        risk.publish_market(snapshot, name, strict=strict)
    line = (
        f"Published {name}: {len(snapshot.instruments)} instruments, "
        f"{snapshot.n_observations} observations as of {snapshot.as_of:%Y-%m-%d}, id {snapshot.id}"
    )
    emit(_with_findings(name, snapshot), line, as_json=as_json)
    if not as_json:
        emit(None, findings_table(snapshot.findings), as_json=False)


@market.command("show")
def show_market(
    name: Annotated[str, typer.Option(help="The name of the market.")] = DEFAULT_NAME,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a published market and what looks wrong in its prices."""
    with progress("Reading the market ..."), open_client(broker_url) as risk:
        snapshot = risk.load_market(name)
    if snapshot is None:
        raise NoMarketError(f"No market {name!r} is published.", field="name")
    page = Group(rows_table([_published(name, snapshot)]), "", findings_table(snapshot.findings))
    emit(_with_findings(name, snapshot), page, as_json=as_json)


@market.command("list")
def list_markets(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the published markets."""
    with progress("Reading the markets ..."), open_server(broker_url) as client:
        store = MarketStore(client)
        rows = [
            _published(name, snapshot)
            for name, market_id in sorted(store.current().items())
            if (snapshot := store.load(market_id)) is not None
        ]
    nothing = "No market is published. Publish one with: risk-tasks market publish PRICES"
    emit(rows, rows_table(rows) if rows else nothing, as_json=as_json)


def note_warnings(limit_set: LimitSet) -> None:
    """Print what is probably not meant in `limit_set` on standard error."""
    for one in limit_set.warnings:
        notes.print(Text(f"Warning: {one.limit}: {one.message}", style="yellow"), soft_wrap=True)


def warnings_document(limit_set: LimitSet | None) -> list[dict[str, Any]]:
    """Return the same as JSON values."""
    return [asdict(one) for one in limit_set.warnings] if limit_set else []


@limits.command("publish")
def publish_limits(
    path: Annotated[Path, typer.Argument(metavar="LIMITS", help="TOML with one table per limit.")],
    name: Name = DEFAULT_NAME,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            help="A tag in applies_to that portfolios carry, although instruments of the market "
            "carry it too; repeatable.",
        ),
    ] = None,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Publish a limit set for all later checks."""
    with progress("Reading limits ..."):
        limit_set = read_limits(path)
    note_warnings(limit_set)
    with open_client(broker_url) as risk, progress("Publishing ..."):
        version = risk.publish_limits(limit_set, name, tags=tag or ())
    document = {
        "name": name,
        "id": limit_set.id,
        "version": version,
        "warnings": warnings_document(limit_set),
    }
    line = f"Published {name}: {len(limit_set.limits)} limits, version {version}"
    emit(document, line, as_json=as_json)


@limits.command("show")
def show_limits(
    name: Annotated[str, typer.Option(help="The name of the limit set.")] = DEFAULT_NAME,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a published limit set, and how many checks each limit has applied to."""
    with open_server(broker_url) as client:
        store = LimitStore(client)
        version = store.current().get(name)
        if version is None:
            raise UnknownLimitSetError(f"No limit set {name!r} is published.", field="name")
        limit_set = store.load(version)
        work = SlotStore(client).matches(version)
    document = {
        "name": name,
        "version": version,
        **limit_set_document(limit_set),
        "checks": work.n_checks,
        "matched": {limit.id: work.matched.get(limit.id, 0) for limit in limit_set.limits},
    }
    emit(document, limits_table(limit_set, work), as_json=as_json)


@app.command()
def measures(as_json: AsJson = False) -> None:
    """List all measures with unit, sign, cost and source."""
    document = [
        {**asdict(definition), "standard": name in STANDARD_MEASURES}
        for name, definition in MEASURES.items()
    ]
    emit(document, measures_table(), as_json=as_json)
