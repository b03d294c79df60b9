"""`demo`: a real book of portfolios on real prices, through real workers, in one command."""

from __future__ import annotations

import time
from collections.abc import Mapping

import typer
from rich.console import Console

from risk_tasks import sample
from risk_tasks.cli.checking import CheckedBook, check_book, market_summary
from risk_tasks.cli.options import AsJson, print_json
from risk_tasks.cli.progress import progress
from risk_tasks.client import RiskClient
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.readers import read_limits, read_market, read_portfolios, read_scenarios
from risk_tasks.render.reports import explanations, report_tables

_TIMEOUT_S = 60.0


def demo(as_json: AsJson = False) -> None:
    """Start everything on this machine, check the sample portfolios, explain what is broken."""
    from risk_tasks.embedding import FleetPlan, running_fleet

    market = read_market(sample.PRICES, scenarios=read_scenarios(sample.SCENARIOS))
    limits, book = read_limits(sample.LIMITS), read_portfolios(sample.BOOKS)
    started = time.perf_counter()
    with (
        progress(
            "Starting a server, two workers and a scheduler (a minute the first time) ..."
        ) as tell,
        running_fleet(FleetPlan(n_workers=2, scheduler=True)) as fleet,
        RiskClient(fleet.url, timeout_s=_TIMEOUT_S) as risk,
    ):
        start_ms = (time.perf_counter() - started) * 1e3
        tell("Checking ...")
        risk.publish_market(market)
        risk.publish_limits(limits)
        checked = check_book(risk, book, market_summary(market))
        pids = fleet.pids
        tell("Stopping ...")
    checked.timings["start_ms"] = round(start_ms, 3)
    if as_json:
        print_json(checked.document())
    else:
        _print(checked, market, pids)


def _print(checked: CheckedBook, market: MarketSnapshot, pids: Mapping[str, int]) -> None:
    console = Console()
    names = ", ".join(f"{name} (pid {pid})" for name, pid in pids.items())
    timings = checked.timings
    console.rule("started", align="left")
    console.print(f"{names}, in {timings['start_ms'] / 1e3:.1f} s", highlight=False)
    console.rule("market", align="left")
    console.print(
        f"{len(market.instruments)} US shares, {market.n_observations} daily returns, "
        f"as of {market.as_of:%Y-%m-%d}, id {market.id[:12]}",
        highlight=False,
    )
    console.rule("measures (99 %, one day, dollars; losses positive)", align="left")
    console.print(report_tables(checked.reports, console.width), highlight=False)
    console.rule("limits that are broken", align="left")
    console.print(explanations(checked.reports), highlight=False)
    console.rule("time", align="left")
    console.print(
        f"{len(checked.reports)} portfolios in {timings['total_ms']:.1f} ms: "
        f"queued {timings['queued_ms']:.1f} ms, computed in {timings['compute_ms']:.1f} ms",
        highlight=False,
    )


def add_to(app: typer.Typer) -> None:
    app.command()(demo)
