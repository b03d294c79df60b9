"""`check` and `backtest`: portfolios of a file, on a running system or on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Unpack

import typer
from rich.console import Console, Group, RenderableType

from risk_tasks import sample
from risk_tasks.cli.console import (
    AsJson,
    Update,
    emit,
    json_text,
    open_client,
    printed,
    progress,
    read_settings,
)
from risk_tasks.cli.published import (
    AlignOption,
    FrequencyOption,
    MaxGapDays,
    ProxyFile,
    ProxyTexts,
    market_summary,
    note_findings,
    note_warnings,
    read_market_files,
    read_proxy_options,
    warnings_document,
)
from risk_tasks.client import RiskClient
from risk_tasks.client.options import CheckOptions
from risk_tasks.errors import InvalidSettingsError, NoMarketError, RiskTasksError, StartError
from risk_tasks.model.backtest import Backtest, BacktestReport, Zone
from risk_tasks.model.calendar import MAX_GAP_DAYS, Align, Frequency
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import (
    Distribution,
    History,
    HorizonRule,
    MeasureSettings,
    VarConvention,
    parse_confidence,
)
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.proxies import Proxy
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.report import Decision, RiskReport
from risk_tasks.model.screening import screen, screened
from risk_tasks.readers import (
    read_limits,
    read_portfolios,
)
from risk_tasks.render.reports import (
    backtest_tables,
    explanations,
    headroom_tables,
    report_tables,
    reports_csv,
)
from risk_tasks.wire.documents import Document, report_document
from risk_tasks.wire.request import Terms, pack_portfolios

EXIT_REJECTED = 3
EXIT_RED = 4
EXIT_NONE = 5
_EMBEDDED_TIMEOUT_S = 60.0

app = typer.Typer()


class Format(StrEnum):
    """The output format of reports."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class CheckedBook:
    """Reports of portfolios on one market; times in milliseconds."""

    market: dict[str, Any]
    reports: Sequence[RiskReport]
    timings: dict[str, float]
    #: what is probably not meant in the limits of the call
    limit_warnings: Sequence[Document] = ()
    #: what looks wrong in the prices of the market
    findings: tuple[DataFinding, ...] = ()

    def document(self) -> Document:
        return {
            "market": self.market,
            "timings": self.timings,
            "limit_warnings": list(self.limit_warnings),
            "reports": [report_document(report) for report in self.reports],
        }


def check_book(
    risk: RiskClient,
    portfolios: Iterable[Portfolio],
    market_document: dict[str, Any],
    *,
    explain: bool = False,
    **options: Unpack[CheckOptions],
) -> CheckedBook:
    """Check `portfolios` and measure the longest wait and the total time of computation."""
    started = time.perf_counter()
    reports = risk.check_many(portfolios, explain=explain, **options)
    total_ms = (time.perf_counter() - started) * 1e3
    # The reports of one block share one mapping of timings.
    blocks = list({id(report.timings): report.timings for report in reports}.values())
    timings = {
        "queued_ms": max((block.get("queued_ms", 0.0) for block in blocks), default=0.0),
        "compute_ms": sum(block.get("compute_ms", 0.0) for block in blocks),
        "total_ms": total_ms,
    }
    return CheckedBook(
        market_document, reports, {name: round(ms, 3) for name, ms in timings.items()}
    )


TagColumns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="A column of BOOK that is a tag although its name looks like an amount; repeatable.",
    ),
]


@app.command()
def check(
    book: Annotated[Path, typer.Argument(help="Portfolios: TOML, CSV or Parquet.")],
    prices: Annotated[
        Path | None, typer.Option(help="Prices, CSV or Parquet; default: the sample.")
    ] = None,
    limits: Annotated[Path | None, typer.Option(help="Limits, TOML.")] = None,
    scenarios: Annotated[Path | None, typer.Option(help="Stress scenarios, TOML.")] = None,
    tags: Annotated[Path | None, typer.Option(help="Tags of instruments, TOML.")] = None,
    tag: TagColumns = None,
    proxy: ProxyTexts = None,
    proxies: ProxyFile = None,
    align: AlignOption = Align.COMMON,
    max_gap_days: MaxGapDays = MAX_GAP_DAYS,
    frequency: FrequencyOption = Frequency.DAILY,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", "-m", help="A measure; repeatable; default: the standard set."),
    ] = None,
    confidence: Annotated[
        str, typer.Option(help="The confidence of measures without one in their name.")
    ] = "0.99",
    horizon_days: Annotated[int, typer.Option(min=1, help="Days ahead.")] = 1,
    horizon_rule: Annotated[
        HorizonRule,
        typer.Option(help="Scale by the square root of time, or sum overlapping windows."),
    ] = HorizonRule.SQRT_TIME,
    paths: Annotated[int, typer.Option(help="Monte Carlo paths; an even number.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Monte Carlo seed.")] = 0,
    distribution: Annotated[
        Distribution, typer.Option(help="Monte Carlo distribution.")
    ] = Distribution.NORMAL,
    history: Annotated[
        History, typer.Option(help="The days before the first return of a young instrument.")
    ] = History.COMMON,
    output_format: Annotated[
        Format, typer.Option("--format", help="The output format.")
    ] = Format.TABLE,
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the use of each limit and the headroom.")
    ] = False,
    observations: Annotated[
        bool, typer.Option("--observations", help="Add the number of past outcomes to the table.")
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit with 3 if a portfolio is rejected, else with 5 if no limit was compared "
            "with one.",
        ),
    ] = False,
    broker_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="URL of the running system, whose market is used; default: "
            "RISK_TASKS_BROKER_URL, or an embedded system if that is not set.",
        ),
    ] = None,
) -> None:
    """Check the portfolios in BOOK and print measures, breaches and decisions."""
    with progress("Reading the book ..."):
        portfolios = read_portfolios(book, tags=tag or ())
        limit_set = read_limits(limits) if limits else None
    if limit_set is not None:
        note_warnings(limit_set)
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
            history=history,
        ),
        "explain": explain,
    }
    files = (prices, scenarios, tags)
    given: dict[str, object] = dict(zip(("--prices", "--scenarios", "--tags"), files, strict=True))
    given |= {"--proxy": proxy, "--proxies": proxies}
    given |= {"--align": align != Align.COMMON, "--max-gap-days": max_gap_days != MAX_GAP_DAYS}
    given |= {"--frequency": frequency != Frequency.DAILY}
    reading = {"align": align, "max_gap_days": max_gap_days, "frequency": frequency}
    url = broker_url if any(given.values()) else _running(broker_url)
    if url is not None:
        _refuse_market(given)
        checked = _check_running(url, portfolios, options)
    else:
        given_proxies = read_proxy_options(proxy, proxies)
        checked = _check_embedded(portfolios, files, given_proxies, options, reading)
    checked = replace(checked, limit_warnings=warnings_document(limit_set))
    _write(checked, Format.JSON if as_json else output_format, output, observations)
    note_findings(checked.findings)
    if exit_code:
        raise typer.Exit(_exit_code(checked.reports))


def _exit_code(reports: Sequence[RiskReport]) -> int:
    decisions = {report.decision for report in reports}
    if Decision.REJECT in decisions:
        return EXIT_REJECTED
    return EXIT_NONE if Decision.NONE in decisions else 0


def _running(broker_url: str | None) -> str | None:
    """Return the URL in the option or the environment; None if neither has one."""
    settings = read_settings(broker_url)
    is_given = "broker_url" in settings.model_fields_set
    return settings.broker_url.get_secret_value() if is_given else None


def _refuse_market(options: Mapping[str, object]) -> None:
    given = [option for option, value in options.items() if value]
    if given:
        raise InvalidSettingsError(
            f"{given[0]} cannot be combined with a running system, which has its own market.",
            field=given[0],
            remedy="Leave it out, or publish it first: risk-tasks market publish PRICES",
        )


def _check_running(url: str, portfolios: list[Portfolio], options: Any) -> CheckedBook:
    timeout_s = read_settings().timeout_s
    with progress(_checking(portfolios)), open_client(url, timeout_s=timeout_s) as risk:
        checked = check_book(risk, portfolios, {}, **options)
        first = next((report for report in checked.reports if report.market_id), None)
        market_id = first.market_id if first else None
        snapshot = risk.load_market(market_id) if market_id else None
        if snapshot is None:
            raise NoMarketError
        checked.market.update(market_summary(snapshot))
        return replace(checked, findings=snapshot.findings)


def _check_embedded(
    portfolios: list[Portfolio],
    files: tuple[Path | None, Path | None, Path | None],
    proxies: Mapping[str, Proxy],
    options: Any,
    reading: Mapping[str, Any],
) -> CheckedBook:
    """Check on the market in `files`: prices, scenarios, tags; `reading` says how."""
    try:
        from risk_tasks.embedding import embedded
    except ModuleNotFoundError as missing:
        raise InvalidSettingsError(
            f"No running system is given, and an embedded one needs {missing.name}.",
            field="--broker-url",
            remedy="Give its URL, or: pip install 'risk-tasks[embedded]'.",
        ) from None

    prices, scenarios, tags = files
    scenarios = scenarios or (sample.SCENARIOS if prices is None else None)
    market = screened(read_market_files(prices, scenarios, tags, proxies, **reading))
    with (
        progress("Starting a server and a worker ...") as update,
        embedded(timeout_s=_EMBEDDED_TIMEOUT_S) as risk,
    ):
        update(_checking(portfolios))
        risk.publish_market(market)
        checked = check_book(risk, portfolios, market_summary(market), **options)
        update("Stopping ...")
        return replace(checked, findings=market.findings)


def _checking(portfolios: Sequence[Portfolio]) -> str:
    return f"Checking {len(portfolios):,} portfolios ..."


def _write(
    checked: CheckedBook, kind: Format, output: Path | None, with_observations: bool
) -> None:
    try:
        stream = output.open("w", encoding="utf-8") if output else sys.stdout
    except OSError as error:
        raise InvalidSettingsError(
            f"{output} cannot be written: {error.strerror}.",
            field="--output",
            remedy="Give a file in an existing folder.",
        ) from None
    try:
        with progress("Writing ..."):
            text = _text(checked, kind, Console(file=stream), with_observations)
        stream.write(text)
    finally:
        if output:
            stream.close()


def _text(checked: CheckedBook, kind: Format, console: Console, with_observations: bool) -> str:
    if kind is Format.JSON:
        return json_text(checked.document())
    if kind is Format.CSV:
        return reports_csv(checked.reports)
    parts: list[RenderableType] = [
        report_tables(checked.reports, console.width, with_observations=with_observations),
        "",
        explanations(checked.reports),
    ]
    if any(report.explanation for report in checked.reports):
        parts += ["", headroom_tables(checked.reports)]
    return printed(Group(*parts), console)


@app.command()
def backtest(
    book: Annotated[Path, typer.Argument(help="Portfolios: TOML, CSV or Parquet.")],
    prices: Annotated[
        Path | None, typer.Option(help="Prices, CSV or Parquet; default: the sample.")
    ] = None,
    align: AlignOption = Align.COMMON,
    max_gap_days: MaxGapDays = MAX_GAP_DAYS,
    frequency: FrequencyOption = Frequency.DAILY,
    confidence: Annotated[
        list[str] | None, typer.Option(help="Confidence of the VaR; repeatable; default: 0.99.")
    ] = None,
    window: Annotated[int, typer.Option(min=1, help="Days behind each VaR.")] = 250,
    tag: TagColumns = None,
    as_json: AsJson = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 4 if a zone is red or is not computed."),
    ] = False,
) -> None:
    """Count the days on which the portfolios in BOOK would have lost more than their VaR."""
    with progress("Reading the book ..."):
        portfolios = read_portfolios(book, tags=tag or ())
    levels = list(dict.fromkeys(map(parse_confidence, confidence or ["0.99"])))
    market = read_market_files(prices, align=align, max_gap_days=max_gap_days, frequency=frequency)
    with progress("Loading the kernels ...") as update:
        reports = _backtest_book(portfolios, market, levels, window, update)
    document = {
        "market": market_summary(market),
        "window": window,
        "var_convention": VarConvention.CONSERVATIVE,
        "reports": [report_document(report) for report in reports],
    }
    emit(document, lambda: backtest_tables(reports, window, market.as_of), as_json=as_json)
    note_findings(screen(market))
    if exit_code and not all(
        report.error is None and all(one.zone is not Zone.RED for one in report.backtests)
        for report in reports
    ):
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
    for index, portfolio in enumerate(portfolios):
        update(f"Testing portfolio {index + 1:,} of {len(portfolios):,} ...")
        error, row = faults.get(index), block.row(index)
        tested: list[Backtest] = []
        if error is None:
            try:
                tested = [rolling_backtest(row, market, level, window=window) for level in levels]
            except RiskTasksError as fault:
                error = describe(fault)
        reports.append(BacktestReport(portfolio_id=portfolio.id, backtests=tested, error=error))
    return reports
