"""For people: how much of each limit is used, and how much room is left for each position."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.model.explanation import Explanation, LimitUse
from risk_tasks.model.report import RiskReport, Severity
from risk_tasks.render.numbers import full

_BAR_WIDTH = 20


def room_tables(reports: Sequence[RiskReport]) -> Group:
    """Return the limits and the room of each portfolio that is explained."""
    pieces: list[RenderableType] = []
    for report in reports:
        if report.explanation is not None:
            pieces += [Text(report.portfolio_id, style="bold"), *_of(report.explanation), ""]
    return Group(*pieces[:-1])


def _of(explanation: Explanation) -> list[RenderableType]:
    pieces: list[RenderableType] = []
    if explanation.limits:
        pieces.append(_limits(explanation.limits))
    if explanation.headroom:
        pieces.append(_room(explanation))
    if explanation.not_bounded:
        named = ", ".join(explanation.not_bounded)
        pieces.append(Text(f"  The room takes no account of: {named}", style="yellow"))
    return pieces


def _limits(uses: Sequence[LimitUse]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("limit", "observed", "warn", "hard", "used", ""):
        is_number = heading not in ("limit", "")
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for use in uses:
        colour = {Severity.HARD.value: "red", Severity.WARN.value: "yellow"}
        thresholds = ["" if one is None else full(one, use.unit) for one in (use.warn, use.hard)]
        style = colour.get(use.severity or "", "green")
        used = "-" if use.utilisation is None else f"{use.utilisation:.0%}"
        cells = [full(use.observed, use.unit), *thresholds, used]
        table.add_row(Text(use.limit), *cells, Text(_bar(use.utilisation), style=style))
    return table


def _bar(utilisation: float | None) -> str:
    filled = 0 if utilisation is None else round(_BAR_WIDTH * min(max(utilisation, 0.0), 1.0))
    return "#" * filled + "." * (_BAR_WIDTH - filled)


def _room(explanation: Explanation) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("position", "buy up to", "until", "sell up to", "until"):
        table.add_column(
            heading, justify="right" if "up to" in heading else "left", overflow="fold"
        )
    for room in explanation.headroom:
        table.add_row(
            Text(room.instrument),
            _units(room.buy),
            Text(room.buy_bound_by or ""),
            _units(room.sell),
            Text(room.sell_bound_by or ""),
        )
    return table


def _units(quantity: float | None) -> str:
    """Return a quantity, rounded towards nothing so that it is still allowed."""
    if quantity is None:
        return "no bound"
    whole = int(quantity)
    return f"{whole:,}" if whole >= 100 else f"{int(quantity * 100) / 100:,.2f}"
