"""How a system does, for people: a page of 80 columns and 24 lines."""

from __future__ import annotations

from collections.abc import Callable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.monitoring.status import Status
from risk_tasks.store.recompute import LiveCounts
from risk_tasks.store.roles import AutoscalerReport

_NOTHING = "-"
_MARKETS = 2
#: a lane that is this full, in checks or bytes, is shown in yellow, and then in red
_FULLISH, _FULL = 0.5, 0.9
_UNITS = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "K"))


def status_page(status: Status) -> RenderableType:
    """Return the whole page."""
    parts = (_headline(status), _numbers(status), _lanes(status), _times(status))
    return Group(*(each for part in parts for each in (part, Text())))


def _headline(status: Status) -> Text:
    roles = f"{_plural(status.workers, 'worker')}, {_plural(status.schedulers, 'scheduler')}"
    line = Text(f"{status.count:,} checks in {status.window_s:.0f} s, {roles}")
    if status.dead_letters:
        line.append(f", {_plural(status.dead_letters, 'dead letter')}", style="red")
    if status.live.portfolios:
        line.append(f"\n{_live(status.live)}")
    markets = [f"{name} {market_id[:12]}" for name, market_id in status.markets.items()]
    if markets:
        more = f" and {len(markets) - _MARKETS} more" if len(markets) > _MARKETS else ""
        line.append(f"\nmarkets: {', '.join(markets[:_MARKETS])}{more}")
    else:
        line.append("\nno market is published", style="yellow")
    return line.append(f"\n{_scaling(status.autoscaler)}") if status.autoscaler else line


def _scaling(report: AutoscalerReport) -> str:
    """Return what the autoscaler has and does, in one line."""
    has = "?" if report.workers is None else str(report.workers)
    bounds = f"{report.min_workers}-{report.max_workers}"
    said = f"autoscaler: {has} ({bounds}), {report.direction}: {report.reason}"
    ago_s = report.last_change_ago_s
    if report.last_change is None or ago_s is None:
        return said
    ago = f"{ago_s:.0f} s" if ago_s < 600 else f"{ago_s / 3_600:.1f} h"
    return f"{said}; {report.last_change} {ago} ago"


def _live(live: LiveCounts) -> str:
    """Return the line of live portfolios."""
    parts = [f"live: {_count(live.portfolios)}", f"{_count(live.dirty)} dirty"]
    if live.dirty:
        parts[-1] += f" ({_seconds(live.oldest_dirty_s)})"
    if live.outdated:
        parts.append(f"{_count(live.outdated)} outdated")
    parts += [f"{_count(live.underway)} underway", f"{_count(live.changes)} told"]
    return ", ".join(parts)


def _numbers(status: Status) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(min_width=20)
    table.add_column(justify="right", min_width=9)
    table.add_column(min_width=20)
    table.add_column(justify="right", min_width=9)
    for row in (
        (
            *("mean response", _ms(status.avg_response_time_ms)),
            *("checks a second", _count(status.calculations_per_second)),
        ),
        (
            *("p95 response", _ms(status.p95_response_time_ms)),
            *("messages a second", _count(status.queue_processing_rate)),
        ),
        (
            *("p99 response", _ms(status.p99_response_time_ms)),
            *("workers busy", _percent(status.worker_utilization)),
        ),
        (
            *("errors", _percent(status.error_rate)),
            *("cache hits", _percent(status.cache_hit_ratio)),
        ),
    ):
        table.add_row(*row)
    return table


def _lanes(status: Status) -> Table:
    table = _table("lane", "depth", "of", "bytes", "of", "oldest", "workers", "unanswered")
    for name, lane in status.lanes.items():
        table.add_row(
            name,
            Text(_count(lane.depth), style=_colour(lane.depth / lane.capacity)),
            _count(lane.capacity),
            Text(_count(lane.depth_bytes), style=_colour(lane.depth_bytes / lane.capacity_bytes)),
            _count(lane.capacity_bytes),
            _seconds(lane.oldest_age_s),
            Text(str(lane.workers), style="" if lane.workers else "red"),
            Text(_count(lane.unanswered), style="red" if lane.unanswered else ""),
        )
    return table


def _times(status: Status) -> Table:
    """Return response times by lane, and what they are mostly made of."""
    table = _table("ms", "checks", "mean", "p50", "p95", "p99", "queued p95", "compute p95")
    for name, lane in status.lanes.items():
        total, parts = lane.total, (lane.queued.p95_ms, lane.compute.p95_ms)
        shown = (total.avg_ms, total.p50_ms, total.p95_ms, total.p99_ms, *parts)
        table.add_row(name, _count(lane.count), *map(_number, shown))
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    table.add_column(first, min_width=8)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _colour(share: float) -> str:
    return "red" if share >= _FULL else "yellow" if share >= _FULLISH else ""


def _plural(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _shown(form: Callable[[float], str]) -> Callable[[float | None], str]:
    return lambda value: _NOTHING if value is None else form(value)


def _short(value: float) -> str:
    """Return at most six characters."""
    for least, size, unit in _UNITS:
        if value >= least:
            return f"{value / size:.{0 if value >= 100 * size else 1}f}{unit}"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"


_count = _shown(_short)
_number = _shown(
    lambda ms: (
        _short(ms) if ms >= 100_000 else f"{ms:,.{2 if ms < 10 else 1 if ms < 1_000 else 0}f}"
    )
)
_ms = _shown(lambda ms: f"{_number(ms)} ms")
_percent = _shown(lambda ratio: f"{ratio * 100:.1f} %")
_seconds = _shown(lambda s: f"{s:,.1f} s")
