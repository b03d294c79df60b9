"""Live portfolios: positions, states of limits, changes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from risk_tasks.model.live import LimitChange, LimitState, LiveReport
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.render.tables import full, plain_table, words
from risk_tasks.store.portfolios import LiveSummary

_COLOURS = {
    LimitState.OK: "green",
    LimitState.NONE: "yellow",
    LimitState.WARN: "yellow",
    LimitState.HARD: "bold red",
    LimitState.NOT_EVALUATED: "magenta",
}
_MAX_LIMITS = 3


def change_line(change: LimitChange) -> Text:
    """Return a line with time, portfolio, limit, both states, observed value and reasons."""
    standing = change.standing
    line = Text.assemble(
        f"{change.at:%Y-%m-%d %H:%M:%S}.{change.at.microsecond // 1000:03}  ",
        (change.portfolio_id, "bold"),
        f" v{change.version}  {standing.limit}  ",
        _state(change.before),
        " -> ",
        _state(standing.state),
    )
    if standing.observed is not None:
        line.append(f"  {full(standing.observed, standing.unit)}")
        if standing.threshold is not None:
            line.append(f", threshold {full(standing.threshold, standing.unit)}")
    if standing.reason:
        line.append(f"  {words(standing.reason)}")
    if change.reason:
        line.append(f"  because of {change.reason}")
    return line


def age_line(latest: LiveReport) -> Text:
    """Return a line with version, age and reason of a report, and the later version, if any."""
    line = Text(f"Version {latest.version}, {_age(latest.age_s)} old")
    if latest.current_version > latest.version:
        line.append(f"; version {latest.current_version} is being computed", style="yellow")
    if latest.reason:
        line.append(f"; checked because of {latest.reason}")
    return line


def positions_table(portfolio: Portfolio) -> Table:
    """Return a row per position; quantities have all their digits."""
    known = [
        f"{name} {amount!r}"
        for name, amount in (("cash", portfolio.cash), ("nav", portfolio.nav))
        if amount is not None
    ]
    known += [f"{name}={text}" for name, text in portfolio.tags.items()]
    title = ", ".join([f"{portfolio.id}, version {portfolio.version}", *known])
    rows = ((Text(name), repr(quantity)) for name, quantity in portfolio.positions.items())
    return plain_table(
        "instrument", "quantity", rows=rows, right={"quantity"}, whole={"quantity"}, title=title
    )


def summaries_table(summaries: Sequence[LiveSummary]) -> Table:
    """Return a row per live portfolio."""
    rows = (
        (
            Text(one.portfolio_id),
            str(one.version),
            "pending" if one.reported is None else str(one.reported),
            "" if one.age_s is None else _age(one.age_s),
            _limits(one),
        )
        for one in summaries
    )
    return plain_table("portfolio", "version", "report of", "age", "limits not ok", rows=rows)


def _limits(summary: LiveSummary) -> Text:
    found = Text()
    for number, (limit, state) in enumerate(summary.states.items()):
        if number == _MAX_LIMITS:
            return found.append(f" and {len(summary.states) - _MAX_LIMITS} more")
        found.append(", " if number else "").append(f"{limit} ").append_text(_state(state))
    return found


def _state(state: str) -> Text:
    return Text(words(state), style=_COLOURS[LimitState(state)])


def _age(age_s: float) -> str:
    if age_s < 120:
        return f"{age_s:.1f} s"
    return f"{age_s / 60:.0f} min" if age_s < 7_200 else f"{age_s / 3_600:.0f} h"
