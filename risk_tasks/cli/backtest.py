"""`backtest`: the VaR of a book from a file, held against the past of its market."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from risk_tasks import sample
from risk_tasks.cli.checking import market_summary
from risk_tasks.cli.options import AsJson, json_text, laid_out, notes
from risk_tasks.cli.progress import Tell, progress
from risk_tasks.errors import RiskTasksError, StartError
from risk_tasks.model.backtest import Backtest, BacktestReport
from risk_tasks.model.confidence import VarConvention, parse_confidence
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.traffic_light import Zone
from risk_tasks.readers import read_market, read_portfolios
from risk_tasks.render.backtests import backtest_tables
from risk_tasks.wire.documents import report_document
from risk_tasks.wire.request import Terms, pack_portfolios

EXIT_RED = 4


def backtest(
    book: Annotated[Path, typer.Argument(help="Portfolios: TOML, CSV or Parquet.")],
    prices: Annotated[
        Path | None, typer.Option(help="Prices, CSV or Parquet; the sample where not given.")
    ] = None,
    confidence: Annotated[
        list[str] | None, typer.Option(help="Repeat for each; 0.99 where not given.")
    ] = None,
    window: Annotated[int, typer.Option(min=1, help="Days that each VaR is read from.")] = 250,
    as_json: AsJson = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 4 where a zone is red or could not be told."),
    ] = False,
) -> None:
    """Count how often the portfolios in BOOK, held as now, would have lost more than their VaR."""
    with progress("Reading the book ..."):
        portfolios = read_portfolios(book)
    levels = list(dict.fromkeys(map(parse_confidence, confidence or ["0.99"])))
    if prices is None:
        notes.print("No --prices given: using the sample prices of 20 US shares.", style="dim")
    with progress("Reading prices ..."):
        market = read_market(prices or sample.PRICES)
    with progress("Loading the kernels ...") as tell:
        reports = _backtest_book(portfolios, market, levels, window, tell)
    with progress("Writing ..."):
        document = {
            "market": market_summary(market),
            "window": window,
            "var_convention": VarConvention.CONSERVATIVE,
            "reports": [report_document(report) for report in reports],
        }
        tables = backtest_tables(reports, window, market.as_of)
        text = json_text(document) if as_json else laid_out(Console(), tables)
    sys.stdout.write(text)
    if exit_code and not all(_passes(report) for report in reports):
        raise typer.Exit(EXIT_RED)


def _backtest_book(
    portfolios: Sequence[Portfolio],
    snapshot: MarketSnapshot,
    levels: Sequence[str],
    window: int,
    tell: Tell,
) -> list[BacktestReport]:
    """Return a report per portfolio; what concerns all of them is raised."""
    try:
        from risk_tasks.engine import MarketArrays
        from risk_tasks.engine.backtesting import check_history, check_window, rolling_backtest
        from risk_tasks.service.validation import describe, validate
    except ModuleNotFoundError as missing:
        raise StartError(
            f"{missing.name} is not installed.", remedy="pip install 'risk-tasks[worker]'"
        ) from None

    for level in levels:
        check_window(window, level)
    check_history(snapshot.n_observations, window)
    market = MarketArrays.of(snapshot)
    block, faults = validate(pack_portfolios(portfolios, Terms((), MeasureSettings())), market)
    reports = []
    for place, portfolio in enumerate(portfolios):
        tell(f"Testing portfolio {place + 1:,} of {len(portfolios):,} ...")
        error, row = faults.get(place), block.row(place)
        tested: list[Backtest] = []
        if error is None:
            try:
                tested = [rolling_backtest(row, market, level, window=window) for level in levels]
            except RiskTasksError as fault:
                error = describe(fault)
        reports.append(BacktestReport(portfolio_id=portfolio.id, backtests=tested, error=error))
    return reports


def _passes(report: BacktestReport) -> bool:
    return report.error is None and all(one.zone is not Zone.RED for one in report.backtests)


def add_to(app: typer.Typer) -> None:
    app.command()(backtest)
