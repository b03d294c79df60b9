"""Backtests as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.model.backtest import Backtest, BacktestReport, Zone
from risk_tasks.render.tables import plain_table, words

_N_EXCEPTIONS = 5

_COLOURS = {Zone.GREEN: "green", Zone.YELLOW: "yellow", Zone.RED: "bold red"}


def backtest_tables(reports: Sequence[BacktestReport], window: int, as_of: datetime) -> Group:
    """Return a row per portfolio and confidence, and the last exceptions."""
    pieces: list[RenderableType] = [
        Text(
            f"VaR of the previous {window} days against the P&L of the current positions.\n"
            f"Days count back from {as_of:%Y-%m-%d}. Tests: LR (p); a small p rejects the VaR."
        )
    ]
    for report in reports:
        pieces += ["", *_pieces(report)]
    return Group(*pieces)


def _pieces(report: BacktestReport) -> Iterator[RenderableType]:
    yield Text(report.portfolio_id, style="bold")
    if report.error is not None:
        place = f"{report.error.field}: " if report.error.field else ""
        yield Text(f"{place}{report.error.message} {report.error.remedy or ''}")
        return
    yield _table(report.backtests)
    for one in report.backtests:
        if one.exceptions:
            last = ", ".join(map(str, one.exceptions[-_N_EXCEPTIONS:]))
            yield Text(f"last exceptions at {one.confidence} on days {last}", style="dim")
        if one.plus_factor is not None and one.frtb_multiplier is not None:
            yield Text(
                f"plus factor {one.plus_factor:.2f} (Basel 1996), "
                f"multiplier {one.frtb_multiplier:.2f} (FRTB)",
                style="dim",
            )


def _table(backtests: Sequence[Backtest]) -> Table:
    numbers, tests = (
        ("VaR", "days", "exceptions", "expected"),
        ("Kupiec", "independence", "coverage"),
    )
    right, whole = (*numbers, *tests), (*numbers, "zone")
    table = plain_table(*numbers, "zone", *tests, right=right, whole=whole, gap=1)
    for one in backtests:
        table.add_row(
            one.confidence,
            str(one.n_observations),
            str(one.n_exceptions),
            f"{one.expected:.1f}",
            Text(one.zone, style=_COLOURS[one.zone]),
            _statistic(one.kupiec_lr, one.kupiec_p, ""),
            _statistic(one.independence_lr, one.independence_p, _reason(one, "independence")),
            _statistic(one.coverage_lr, one.coverage_p, _reason(one, "coverage")),
        )
    return table


def _statistic(ratio: float | None, p_value: float | None, reason: str) -> str:
    if ratio is None or p_value is None:
        return f"- {reason}"
    p = f"{p_value:.3f}" if p_value >= 0.0005 else "<.001"
    return f"{ratio:.2f} ({p})" if ratio < 100 else f"{ratio:.0f} ({p})"


def _reason(one: Backtest, name: str) -> str:
    return words(one.reasons.get(name, "undefined"))
