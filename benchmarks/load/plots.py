"""Plots of the figures, each one SVG that loads nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pygal
from pygal.style import Style

from benchmarks.load.figures import Figures, Kills, Level, NormalLoad, Scaling
from benchmarks.load.judging import LEVEL_MS

# The plug-in finder of the library, which is not used here, makes every later import warn.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)
]

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#444",
    foreground_strong="#111",
    foreground_subtle="#999",
    colors=("#1b6ca8", "#c8553d", "#6b8f3c", "#8a6bb0", "#b8860b"),
    font_family="sans-serif",
    title_font_size=15,
    label_font_size=11,
    major_label_font_size=11,
    legend_font_size=12,
)
_SIZE = {"width": 860, "height": 360}
#: of the calls that were due within this number of seconds the longest is shown
_STEP_S = 0.25
#: by powers of ten and their half-way marks, on a logarithmic axis
_MARKS_MS = [mark * 10**power for power in range(-1, 5) for mark in (1, 2, 5)]


def plots(figures: Figures) -> list[str]:
    """Return a plot as SVG for each stage that ran."""
    return [_svg(chart) for chart in _charts(figures)]


def _svg(chart: Any) -> str:
    chart.add_xml_filter(_without_scripts)
    svg: str = chart.render(is_unicode=True, disable_xml_declaration=True)
    return svg


def _without_scripts(root: Any) -> Any:
    """Remove the references to the scripts of the library."""
    for parent in [each for each in root.iter() if each.find("script") is not None]:
        parent.remove(parent.find("script"))
    return root


def _charts(figures: Figures) -> Iterator[Any]:
    yield _beside(figures.levels)
    yield _times(figures.levels)
    if figures.normal is not None:
        yield _depth(figures.normal)
    if figures.kills is not None:
        yield _kills(figures.kills)
    if figures.scaling is not None:
        yield _scaling(figures.scaling)


def _options(title: str, **more: Any) -> dict[str, Any]:
    # The scripts of the library would be loaded from another server.
    return {"title": title, "style": _STYLE, "js": [], "legend_at_bottom": True, **_SIZE, **more}


def _labels(levels: tuple[Level, ...]) -> list[str]:
    return [f"{level.outstanding:,}" for level in levels]


def _beside(levels: tuple[Level, ...]) -> Any:
    ways = {
        "target": [LEVEL_MS.get(level.outstanding) for level in levels],
        "blocks": [level.blocks.times.p95_ms for level in levels],
        "single checks": [level.singles.times.p95_ms for level in levels],
        "sequential": [level.sequential.times.p95_ms for level in levels],
    }
    known = [ms for of_way in ways.values() for ms in of_way if ms is not None]
    marks = [ms for ms in _MARKS_MS if min(known) / 2 <= ms <= max(known) * 2]
    title = "p95 in ms by checks outstanding (logarithmic)"
    chart = pygal.Line(**_options(title, logarithmic=True, y_labels=marks))
    chart.x_labels = _labels(levels)
    for name, of_way in ways.items():
        chart.add(name, of_way, stroke_style={"dasharray": "4, 6"} if name == "target" else None)
    return chart


def _times(levels: tuple[Level, ...]) -> Any:
    chart = pygal.Bar(**_options("Blocks: ms by checks outstanding"))
    chart.x_labels = _labels(levels)
    for name in ("mean", "p95", "p99"):
        chart.add(name, [getattr(level.blocks.times, f"{name}_ms") for level in levels])
    chart.add("target", [LEVEL_MS.get(level.outstanding) for level in levels])
    return chart


def _depth(normal: NormalLoad) -> Any:
    title = "Checks in the lane at normal load, by second"
    chart = pygal.XY(**_options(title, show_dots=False, show_legend=False))
    chart.add("checks", [(sample.at_s, sample.depth) for sample in normal.samples])
    return chart


def _kills(kills: Kills) -> Any:
    title = "Seconds of the longest call, by the second when it was due, while workers are killed"
    chart = pygal.XY(**_options(title, dots_size=1))
    longest: dict[float, float] = {}
    for due_s, took_s in kills.calls_s:
        step_s = due_s // _STEP_S * _STEP_S
        longest[step_s] = max(longest.get(step_s, 0.0), took_s)
    chart.add("longest call", sorted(longest.items()))
    chart.add(
        "a worker is killed", [(at_s, 0) for at_s in kills.killed_s], dots_size=6, stroke=False
    )
    return chart


def _scaling(scaling: Scaling) -> Any:
    chart = pygal.Bar(**_options("Checks per second by workers, relative to one worker"))
    chart.x_labels = [str(n) for n in scaling.workers]
    for name, per_s in (
        ("costly measures", scaling.costly_per_s),
        ("standard set", scaling.standard_per_s),
    ):
        chart.add(name, [rate / per_s[0] for rate in per_s])
    chart.add("linear", [n / scaling.workers[0] for n in scaling.workers])
    return chart
