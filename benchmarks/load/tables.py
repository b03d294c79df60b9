"""Figures and criteria as rows of text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.load.figures import Figures, Level
from benchmarks.load.judging import LEVEL_MS, Criterion

_WORDS = {True: "pass", False: "FAIL", None: "not judged"}


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: a title, headings, and a text in every cell."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    #: whether its columns from the third on are numbers
    is_numbers: bool = False


def level_rows(levels: Sequence[Level]) -> Rows:
    headings = ("outstanding", "sent as", "mean", "p95", "p99", "worst", "target", "checks/s", "x")
    rows = [row for each in levels for row in _of(each)]
    return Rows("Response times, ms", headings, rows, is_numbers=True)


def _of(level: Level) -> Iterator[tuple[str, ...]]:
    ways = {
        "blocks": level.blocks,
        "single": level.singles,
        "one by one": level.sequential,
    }
    target_ms = LEVEL_MS.get(level.outstanding)
    for word, found in ways.items():
        times = found.times
        held = f"{target_ms:,.0f}" if target_ms is not None and found is level.blocks else ""
        faster = level.sequential.times.mean_ms / times.mean_ms
        yield (
            f"{level.outstanding:,}" if found is level.blocks else "",
            word,
            *(f"{ms:,.1f}" for ms in (times.mean_ms, times.p95_ms, times.p99_ms, times.worst_ms)),
            held,
            f"{found.per_s:,.0f}",
            f"{faster:,.1f}",
        )


def criterion_rows(criteria: Sequence[Criterion]) -> Rows:
    rows = [(one.name, one.found, one.bound, _WORDS[one.passed]) for one in criteria]
    return Rows("Criteria", ("criterion", "found", "bound", ""), rows)


def other_rows(figures: Figures) -> Rows:
    """One line for each stage other than the levels."""
    rows: list[tuple[str, ...]] = []
    if figures.normal is not None:
        deepest = max((sample.depth for sample in figures.normal.samples), default=0)
        rows.append(("normal load", f"{figures.normal.per_s:,.0f} checks/s, {deepest:,} at most"))
    if figures.repeats is not None:
        one = figures.repeats
        words = f"{one.first_ms:,.0f} ms, then {one.again_ms:,.1f} ms ({one.n_repeats} times)"
        rows.append((f"Monte Carlo of {one.n_portfolios:,} portfolios", words))
    if figures.kills is not None:
        longest_s = max(took_s for _, took_s in figures.kills.calls_s)
        rows.append(("longest wait while workers are killed", f"{longest_s:,.2f} s"))
    if figures.scaling is not None:
        parts = (figures.scaling.standard_per_s, figures.scaling.costly_per_s)
        for what, per_s in zip(("standard set", "costly measures"), parts, strict=True):
            pairs = zip(figures.scaling.workers, per_s, strict=True)
            words = ", ".join(f"{n}: {rate:,.0f}" for n, rate in pairs)
            rows.append((f"checks/s by workers, {what}", words))
    return Rows("Other stages", ("stage", "found"), rows)
