"""What the result cache keeps and what it did, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from risk_tasks.model.registry import LOOK_UP_US, MEASURES, REGISTRY_PATHS


def cache_document(
    sums: Mapping[str, float], states: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return what `status --cache --json` prints: the fleet's `sums`, and `states` by role."""
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
    """Return the same for people, readable at 80 columns; measures below the line in one row."""
    ratio = document["cache_hit_ratio"]
    head = Table(box=None, show_header=False, pad_edge=False)
    head.add_row("a look-up may cost", f"{document['look_up_us']:g} us a check")
    head.add_row("cache_hit_ratio", "-" if ratio is None else f"{ratio:.3f}")
    for name, count in document["counters"].items():
        if count:
            head.add_row(name, f"{count:,.3f}".rstrip("0").rstrip("."))
    for name, state in document["workers"].items():
        told = ", ".join(f"{word} {value}" for word, value in state.items())
        head.add_row(name, told)
    kept = Table("looked up", "us a check", "hits", "misses", box=None, pad_edge=False)
    cheap = [one for one in document["measures"] if not one["looked_up"]]
    for one in document["measures"]:
        if one["looked_up"]:
            counts = (f"{one['cost_us']:g}", f"{one['hits']:,.0f}", f"{one['misses']:,.0f}")
            kept.add_row(one["measure"], *counts)
    dearest = max((one["cost_us"] for one in cheap), default=0.0)
    return Group(head, "", kept, f"{len(cheap)} others cost {dearest:g} us or less: computed anew.")
