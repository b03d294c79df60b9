"""`backtest`: compares the VaR of portfolios of a file with the past P&L on their market."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from risk_tasks.cli.console import AsJson, Update, emit, progress
from risk_tasks.cli.published import market_summary, read_market_files
from risk_tasks.errors import RiskTasksError, StartError
from risk_tasks.model.backtest import Backtest, BacktestReport, Zone
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, VarConvention, parse_confidence
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers import read_portfolios
from risk_tasks.render.backtests import backtest_tables
from risk_tasks.wire.documents import report_document
from risk_tasks.wire.request import Terms, pack_portfolios

EXIT_RED = 4

app = typer.Typer()


@app.command()
def backtest(
    book: Annotated[Path, typer.Argument(help="Portfolios: TOML, CSV or Parquet.")],
    prices: Annotated[
        Path | None, typer.Option(help="Prices, CSV or Parquet; default: the sample.")
    ] = None,
    confidence: Annotated[list[str] | None, typer.Option(help="Repeatable; default: 0.99.")] = None,
    window: Annotated[int, typer.Option(min=1, help="Days behind each VaR.")] = 250,
    as_json: AsJson = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 4 if a zone is red or could not be computed."),
    ] = False,
) -> None:
    """Count the days on which the portfolios in BOOK would have lost more than their VaR."""
    with progress("Reading the book ..."):
        portfolios = read_portfolios(book)
    levels = list(dict.fromkeys(map(parse_confidence, confidence or ["0.99"])))
    market = read_market_files(prices)
    with progress("Loading the kernels ...") as update:
        reports = _backtest_book(portfolios, market, levels, window, update)
    document = {
        "market": market_summary(market),
        "window": window,
        "var_convention": VarConvention.CONSERVATIVE,
        "reports": [report_document(report) for report in reports],
    }
    emit(document, lambda: backtest_tables(reports, window, market.as_of), as_json=as_json)
    if exit_code and not all(_passes(report) for report in reports):
        raise typer.Exit(EXIT_RED)


def _backtest_book(
    portfolios: Sequence[Portfolio],
    snapshot: MarketSnapshot,
    levels: Sequence[str],
    window: int,
    update: Update,
) -> list[BacktestReport]:
    """Return one report per portfolio. Raises an error that concerns all of them."""
    try:
        from risk_tasks.engine import MarketArrays
        from risk_tasks.engine.backtesting import check_history, check_window, rolling_backtest
        from risk_tasks.service.validation import describe, validate
    except ModuleNotFoundError as missing:
        raise StartError(
            f"The command needs {missing.name}, which is not installed.",
            remedy="pip install 'risk-tasks[worker]'",
        ) from None

    for level in levels:
        check_window(window, level)
    check_history(snapshot.n_observations, window)
    market = MarketArrays.of(snapshot)
    block, faults = validate(pack_portfolios(portfolios, Terms((), MeasureSettings())), market)
    reports = []
    for place, portfolio in enumerate(portfolios):
        update(f"Testing portfolio {place + 1:,} of {len(portfolios):,} ...")
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
