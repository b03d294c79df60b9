"""How shards are leased, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from risk_tasks.monitoring.shards import LaneShards, ShardStatus

_NOBODY = "nobody"


def shards_page(lanes: Mapping[str, LaneShards]) -> RenderableType:
    """Return a table per lane: a row per worker, and one of what nobody leases."""
    if not lanes:
        return Text("The lanes are not cut into shards.")
    parts = (part for name, lane in lanes.items() for part in (_headline(name, lane), _lane(lane)))
    return Group(*(each for part in parts for each in (part, Text())))


def _headline(name: str, lane: LaneShards) -> Text:
    line = Text(f"{name}: {len(lane.shards)} shards, {len(lane.workers)} workers")
    if lane.imbalance is not None:
        line.append(f", largest share {lane.imbalance:.2f} of the mean")
    if lane.orphaned:
        line.append(f", {len(lane.orphaned)} orphaned", style="red")
    return line


def _lane(lane: LaneShards) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    table.add_column("worker", no_wrap=True, overflow="ellipsis", max_width=34)
    for column in ("shards", "waiting", "oldest"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("which", no_wrap=True, overflow="ellipsis", max_width=20)
    for worker in lane.workers:
        table.add_row(worker, *_cells(one for one in lane.shards if one.worker == worker))
    if lane.orphaned:
        cells = _cells(one for one in lane.shards if one.worker is None)
        table.add_row(_NOBODY, *cells, style="red")
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
