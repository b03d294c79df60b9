"""`check`: a book from a file, against limits from a file, here or on a running system."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from risk_tasks import sample
from risk_tasks.cli.checking import CheckedBook, check_book, market_summary
from risk_tasks.cli.options import AsJson, json_text, laid_out, notes, read_settings
from risk_tasks.cli.progress import progress
from risk_tasks.client import RiskClient
from risk_tasks.errors import InvalidSettingsError, NoMarketError
from risk_tasks.model.measures import Distribution, HorizonRule, MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Decision
from risk_tasks.readers import (
    read_limits,
    read_market,
    read_portfolios,
    read_scenarios,
    read_tags,
)
from risk_tasks.render.explanations import room_tables
from risk_tasks.render.reports import explanations, report_tables, reports_csv

EXIT_REJECTED = 3
_EMBEDDED_TIMEOUT_S = 60.0


class Format(StrEnum):
    """How reports are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def check(
    book: Annotated[Path, typer.Argument(help="Portfolios: TOML, CSV or Parquet.")],
    prices: Annotated[
        Path | None, typer.Option(help="Prices, CSV or Parquet; the sample where not given.")
    ] = None,
    limits: Annotated[Path | None, typer.Option(help="Limits, TOML.")] = None,
    scenarios: Annotated[Path | None, typer.Option(help="Stress scenarios, TOML.")] = None,
    tags: Annotated[Path | None, typer.Option(help="Tags of instruments, TOML.")] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", "-m", help="Repeat for each; else the standard set."),
    ] = None,
    confidence: Annotated[str, typer.Option(help="Of measures that name none.")] = "0.99",
    horizon_days: Annotated[int, typer.Option(min=1, help="Days ahead.")] = 1,
    horizon_rule: Annotated[
        HorizonRule, typer.Option(help="Days by the root of time, or sums of days in a row.")
    ] = HorizonRule.SQRT_TIME,
    paths: Annotated[
        int, typer.Option(help="Of the Monte Carlo measures; an even number.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the Monte Carlo measures.")] = 0,
    distribution: Annotated[
        Distribution, typer.Option(help="That the Monte Carlo measures draw from.")
    ] = Distribution.NORMAL,
    output_format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file instead.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="How much of each limit is used, and the room it leaves."),
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 3 where a portfolio is rejected.")
    ] = False,
    broker_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A running system with its market; else that of the environment, else embedded.",
        ),
    ] = None,
) -> None:
    """Check the portfolios in BOOK and print measures, breaches and decisions."""
    with progress("Reading the book ..."):
        portfolios = read_portfolios(book)
        limit_set = read_limits(limits) if limits else None
    options = {
        "limits": limit_set,
        "measures": measure or None,
        "settings": MeasureSettings(
            confidence,
            horizon_days,
            horizon_rule=horizon_rule,
            n_paths=paths,
            seed=seed,
            distribution=distribution,
        ),
        "explain": explain,
    }
    files = (prices, scenarios, tags)
    url = broker_url if any(files) else _running(broker_url)
    if url is not None:
        _refuse_market({"--prices": prices, "--scenarios": scenarios, "--tags": tags})
        checked = _check_running(url, portfolios, options)
    else:
        checked = _check_embedded(portfolios, files, options)
    _write(checked, Format.JSON if as_json else output_format, output)
    rejected = any(report.decision == Decision.REJECT for report in checked.reports)
    if exit_code and rejected:
        raise typer.Exit(EXIT_REJECTED)


def _running(broker_url: str | None) -> str | None:
    """Return the URL of the system that the command or the environment names, if any does."""
    settings = read_settings(broker_url)
    named = "broker_url" in settings.model_fields_set
    return settings.broker_url.get_secret_value() if named else None


def _refuse_market(files: Mapping[str, Path | None]) -> None:
    given = [option for option, file in files.items() if file]
    if given:
        raise InvalidSettingsError(
            "A running system is checked against the market that is published there.",
            field=given[0],
            remedy="Leave it out, or publish it first: risk-tasks market publish PRICES",
        )


def _check_running(url: str, portfolios: list[Portfolio], options: Any) -> CheckedBook:
    timeout_s = read_settings().timeout_s
    with progress(_checking(portfolios)), RiskClient(url, timeout_s=timeout_s) as risk:
        checked = check_book(risk, portfolios, {}, **options)
        first = next((report for report in checked.reports if report.market_id), None)
        market_id = first.market_id if first else None
        snapshot = risk.load_market(market_id) if market_id else None
        if snapshot is None:
            raise NoMarketError
        checked.market.update(market_summary(snapshot))
        return checked


def _check_embedded(
    portfolios: list[Portfolio],
    files: tuple[Path | None, Path | None, Path | None],
    options: Any,
) -> CheckedBook:
    """Check on the market of these files: prices, scenarios, tags."""
    try:
        from risk_tasks.embedding import embedded
    except ModuleNotFoundError as missing:
        raise InvalidSettingsError(
            f"No running system is named, and to start one needs {missing.name}.",
            field="--broker-url",
            remedy="Name one, or: pip install 'risk-tasks[embedded]'.",
        ) from None

    prices, scenarios, tags = files
    if prices is None:
        notes.print("No --prices given: using the sample prices of 20 US shares.", style="dim")
        scenarios = scenarios or sample.SCENARIOS
    with progress("Reading prices ..."):
        market = read_market(
            prices or sample.PRICES,
            scenarios=read_scenarios(scenarios) if scenarios else {},
            tags=read_tags(tags) if tags else {},
        )
    with (
        progress("Starting a server and a worker (a minute the first time) ...") as tell,
        embedded(timeout_s=_EMBEDDED_TIMEOUT_S) as risk,
    ):
        tell(_checking(portfolios))
        risk.publish_market(market)
        checked = check_book(risk, portfolios, market_summary(market), **options)
        tell("Stopping ...")
        return checked


def _checking(portfolios: Sequence[Portfolio]) -> str:
    return f"Checking {len(portfolios):,} portfolios ..."


def _write(checked: CheckedBook, kind: Format, output: Path | None) -> None:
    try:
        stream = output.open("w", encoding="utf-8") if output else sys.stdout
    except OSError as error:
        raise InvalidSettingsError(
            f"{error.strerror}: {output}.", field="--output", remedy="Name a file to write."
        ) from None
    try:
        with progress("Writing ..."):
            text = _text(checked, kind, Console(file=stream))
        stream.write(text)
    finally:
        if output:
            stream.close()


def _text(checked: CheckedBook, kind: Format, console: Console) -> str:
    """Return what is written, for `console` where it is a table."""
    if kind is Format.JSON:
        return json_text(checked.document())
    if kind is Format.CSV:
        return reports_csv(checked.reports)
    parts = [report_tables(checked.reports, console.width), explanations(checked.reports)]
    if any(report.explanation for report in checked.reports):
        parts.append(room_tables(checked.reports))
    return laid_out(console, *parts)


def add_to(app: typer.Typer) -> None:
    app.command()(check)
