"""The state of a system, its shards and its result cache; a page has 80 columns, 24 lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.model.registry import LOOK_UP_US, MEASURES, REGISTRY_PATHS
from risk_tasks.monitoring.status import LaneShards, ShardStatus, Status
from risk_tasks.store.recompute import LiveCounts
from risk_tasks.store.roles import AutoscalerReport

_NOTHING = "-"
_FIRST = 2
#: shares of a lane's capacity, in checks or bytes, that are shown in yellow and in red
_YELLOW, _RED = 0.5, 0.9
_UNITS = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "K"))


def status_page(status: Status) -> RenderableType:
    """Return the whole page."""
    parts = (_headline(status), _numbers(status), _lanes(status), _times(status))
    return Group(*(each for part in parts for each in (part, Text())))


def _headline(status: Status) -> Text:
    roles = f"{_plural(status.workers, 'worker')}, {_plural(status.schedulers, 'scheduler')}"
    compiling = [each for each in status.kernels_by_worker.values() if each.ready < each.total]
    if compiling:
        ready, total = min((each.ready, each.total) for each in compiling)
        roles = f"{_plural(status.workers, 'worker')}, {ready}/{total} kernels"
    line = Text(f"{status.count:,} checks in {status.window_s:.0f} s, {roles}")
    if status.dead_letters:
        line.append(f", {_plural(status.dead_letters, 'dead letter')}", style="red")
    if status.live.portfolios:
        line.append(f"\n{_live(status.live)}")
    markets = [f"{name} {market_id[:12]}" for name, market_id in status.markets.items()]
    if markets:
        line.append(f"\nmarkets: {_first(markets)}")
    else:
        line.append("\nno market is published", style="yellow")
    sets = status.limit_sets.items()
    unmatched = [f"{name} {len(one.unmatched):,}" for name, one in sets if one.unmatched]
    if unmatched:
        line.append(f"\nlimits that applied to no check: {_first(unmatched)}", style="yellow")
    return line.append(f"\n{_scaling(status.autoscaler)}") if status.autoscaler else line


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FIRST} more" if len(names) > _FIRST else ""
    return f"{', '.join(names[:_FIRST])}{more}"


def _scaling(report: AutoscalerReport) -> str:
    """Return the state and the last decision of the autoscaler in one line."""
    has = "?" if report.workers is None else str(report.workers)
    bounds = f"{report.min_workers}-{report.max_workers}"
    line = f"autoscaler: {has} ({bounds}), {report.direction}: {report.reason}"
    ago_s = report.last_change_ago_s
    if report.last_change is None or ago_s is None:
        return line
    ago = f"{ago_s:.0f} s" if ago_s < 600 else f"{ago_s / 3_600:.1f} h"
    return f"{line}; {report.last_change} {ago} ago"


def _live(live: LiveCounts) -> str:
    """Return the line of live portfolios."""
    parts = [f"live: {_count(live.portfolios)}", f"{_count(live.dirty)} dirty"]
    if live.dirty:
        parts[-1] += f" ({_seconds(live.oldest_dirty_s)})"
    if live.outdated:
        parts.append(f"{_count(live.outdated)} outdated")
    parts += [f"{_count(live.in_progress)} running", f"{_count(live.changes)} sent"]
    return ", ".join(parts)


def _numbers(status: Status) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    for _ in range(2):
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
    """Return response times by lane, and their two largest parts."""
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
    return "red" if share >= _RED else "yellow" if share >= _YELLOW else ""


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


def shards_page(lanes: Mapping[str, LaneShards]) -> RenderableType:
    """Return a table per lane with a row per worker, and one of shards without a lease."""
    if not lanes:
        return Text("The lanes have no shards.")
    parts = (
        part for name, lane in lanes.items() for part in (_shards_line(name, lane), _leases(lane))
    )
    return Group(*(each for part in parts for each in (part, Text())))


def _shards_line(name: str, lane: LaneShards) -> Text:
    line = Text(f"{name}: {len(lane.shards)} shards, {len(lane.workers)} workers")
    if lane.imbalance is not None:
        line.append(f", largest share {lane.imbalance:.2f} of the mean")
    if lane.orphaned:
        line.append(f", {len(lane.orphaned)} orphaned", style="red")
    return line


def _leases(lane: LaneShards) -> Table:
    table = _table("worker", "shards", "waiting", "oldest")
    table.columns[0].no_wrap, table.columns[0].max_width = True, 34
    table.add_column("numbers", no_wrap=True, overflow="ellipsis", max_width=20)
    for worker in lane.workers:
        table.add_row(worker, *_cells(one for one in lane.shards if one.worker == worker))
    if lane.orphaned:
        cells = _cells(one for one in lane.shards if one.worker is None)
        table.add_row("no lease", *cells, style="red")
    return table


def _cells(shards: Iterable[ShardStatus]) -> tuple[str, ...]:
    held = list(shards)
    ages = [one.oldest_age_s for one in held if one.oldest_age_s is not None]
    return (
        str(len(held)),
        f"{sum(one.messages for one in held):,}",
        f"{max(ages):,.1f} s" if ages else "-",
        ",".join(str(one.shard) for one in held) or "-",
    )


def cache_document(
    sums: Mapping[str, float], states: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return `sums` of all workers and `states` by role, as `status --cache --json` prints them."""
    hits = sums.get("local_hits", 0.0) + sums.get("shared_hits", 0.0)
    n = sums.get("local_hits", 0.0) + sums.get("local_misses", 0.0)
    return {
        "look_up_us": LOOK_UP_US,
        "cache_hit_ratio": hits / n if n else None,
        "counters": {name: count for name, count in sorted(sums.items()) if ":" not in name},
        "measures": [
            {
                "measure": name,
                "cost_us": one.cost_us,
                "looked_up": one.is_looked_up(REGISTRY_PATHS),
                "hits": sums.get(f"{name}:hits", 0.0),
                "misses": sums.get(f"{name}:misses", 0.0),
            }
            for name, one in sorted(MEASURES.items(), key=lambda item: -item[1].cost_us)
        ],
        "workers": {name: dict(state) for name, state in sorted(states.items())},
    }


def cache_page(document: Mapping[str, Any]) -> RenderableType:
    """Return a page of 80 columns; measures that are not cached share one line."""
    ratio = document["cache_hit_ratio"]
    head = Table(box=None, show_header=False, pad_edge=False)
    head.add_row("cost of a look-up", f"{document['look_up_us']:g} us per check")
    head.add_row("cache_hit_ratio", "-" if ratio is None else f"{ratio:.3f}")
    for name, count in document["counters"].items():
        if count:
            head.add_row(name, f"{count:,.3f}".rstrip("0").rstrip("."))
    for name, state in document["workers"].items():
        head.add_row(name, ", ".join(f"{word} {value}" for word, value in state.items()))
    kept = Table("cached", "us per check", "hits", "misses", box=None, pad_edge=False)
    cheap = [one for one in document["measures"] if not one["looked_up"]]
    for one in document["measures"]:
        if one["looked_up"]:
            counts = (f"{one['cost_us']:g}", f"{one['hits']:,.0f}", f"{one['misses']:,.0f}")
            kept.add_row(one["measure"], *counts)
    dearest = max((one["cost_us"] for one in cheap), default=0.0)
    rest = f"{len(cheap)} other measures cost at most {dearest:g} us: not cached."
    return Group(head, "", kept, rest)
