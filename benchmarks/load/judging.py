"""Compares the figures with the targets: a pure function."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from benchmarks.load.figures import Figures, Level
from risk_tasks.monitoring.prometheus import BOUNDS_S

#: target response time of a check at each level, ms
LEVEL_MS = MappingProxyType({500: 15.0, 1_000: 25.0, 5_000: 60.0, 20_000: 120.0, 50_000: 200.0})

Statistic = Literal["mean", "p95", "p99"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The targets. With `timed` off, times are not judged."""

    level_ms: Mapping[int, float] = field(default_factory=lambda: LEVEL_MS)
    #: at every level up to `response_up_to`
    response_ms: float = 100.0
    response_up_to: int = 20_000
    #: the percentile that is compared with the target
    statistic: Statistic = "p95"
    hit_ratio: float = 0.70
    #: the longest time that a block may wait in the lane at normal load
    oldest_age_s: float = 1.0
    availability: float = 0.999
    #: capacity of n workers, as a share of n times the capacity of one
    efficiency: float = 0.80
    timed: bool = True


@dataclass(frozen=True, slots=True)
class Criterion:
    """One target: the figure and what it is compared with; `passed` is None if it is not judged."""

    name: str
    found: str
    bound: str
    passed: bool | None


def judge(figures: Figures, targets: Targets) -> list[Criterion]:
    """Return every criterion with its figure; a stage that did not run is not judged."""
    return [
        *_levels(figures.levels, targets),
        _hit_ratio(figures, targets),
        *_backlog(figures, targets),
        *_by_status(figures, targets),
        _availability(figures, targets),
        *_scaling(figures, targets),
    ]


def verdict(criteria: Sequence[Criterion]) -> str:
    """Return one line with the counts: FAIL if a criterion failed or none was judged."""
    n_passed = sum(one.passed is True for one in criteria)
    n_failed = sum(one.passed is False for one in criteria)
    n_open = len(criteria) - n_passed - n_failed
    word = "FAIL" if n_failed or not n_passed else "PASS"
    return f"{word}: {n_passed} passed, {n_failed} failed, {n_open} not judged"


def _levels(levels: Sequence[Level], targets: Targets) -> Iterator[Criterion]:
    what = targets.statistic
    for level in levels:
        at = f"at {level.outstanding:,}"
        ms = getattr(level.blocks.times, f"{what}_ms")
        target_ms = targets.level_ms.get(level.outstanding)
        if target_ms is not None:
            yield _timed(f"{what} of blocks {at}", ms, "<=", target_ms, targets)
    for level in levels:
        at = f"at {level.outstanding:,}"
        ms = getattr(level.blocks.times, f"{what}_ms")
        if level.outstanding <= targets.response_up_to:
            name = f"target response, {what} of blocks {at}"
            yield _timed(name, ms, "<", targets.response_ms, targets)
    for level in levels:
        at = f"at {level.outstanding:,}"
        ms = getattr(level.singles.times, f"{what}_ms")
        beside_ms = getattr(level.sequential.times, f"{what}_ms")
        name = f"{what} of single checks {at}, compared with one by one"
        yield _timed(name, ms, "<", beside_ms, targets)
    n_failed = sum(level.blocks.n_failed + level.singles.n_failed for level in levels)
    yield Criterion("checks of all levels without an answer", f"{n_failed:,}", "0", n_failed == 0)


def _timed(name: str, ms: float, sign: str, bound_ms: float, targets: Targets) -> Criterion:
    kept = ms < bound_ms if sign == "<" else ms <= bound_ms
    return Criterion(
        name, f"{ms:,.1f} ms", f"{sign} {bound_ms:,.1f} ms", kept if targets.timed else None
    )


def _hit_ratio(figures: Figures, targets: Targets) -> Criterion:
    name, bound = "hit ratio on repeats of a costly measure", f"> {targets.hit_ratio:.0%}"
    if figures.repeats is None:
        return Criterion(name, "not run", bound, None)
    ratio = figures.repeats.hit_ratio
    if ratio is None:
        return Criterion(name, "no look-ups were counted", bound, passed=False)
    return Criterion(name, f"{ratio:.1%}", bound, ratio > targets.hit_ratio)


def _backlog(figures: Figures, targets: Targets) -> Iterator[Criterion]:
    after, age = "lane empty after normal load", "longest wait for a worker at normal load"
    bound = f"<= {targets.oldest_age_s:g} s"
    if figures.normal is None:
        yield Criterion(after, "not run", "0 checks", None)
        yield Criterion(age, "not run", bound, None)
        return
    depth, oldest_s = figures.normal.depth_after, figures.normal.oldest_age_s
    yield Criterion(after, f"{depth:,} checks", "0 checks", depth == 0)
    kept = oldest_s <= targets.oldest_age_s
    yield Criterion(age, f"{oldest_s:.2f} s", bound, kept if targets.timed else None)


def _by_status(figures: Figures, targets: Targets) -> Iterator[Criterion]:
    """Compare the percentiles of `status` with those of the users, in Prometheus buckets.

    The times of users also include work in their own process.
    """
    percentiles = figures.normal.percentiles if figures.normal is not None else ()
    if not percentiles:
        yield Criterion(
            "percentiles by status and by the users' clocks", "not run", "<= 1 bucket", None
        )
    for one in percentiles:
        own, status = (bisect_left(BOUNDS_S, ms / 1e3) for ms in (one.own_ms, one.status_ms))
        yield Criterion(
            f"p{one.percent:g} by status and by the users' clocks",
            f"{one.status_ms:,.1f} of {one.own_ms:,.1f} ms",
            "<= 1 bucket",
            abs(own - status) <= 1 if targets.timed else None,
        )


def _availability(figures: Figures, targets: Targets) -> Criterion:
    name, bound = "availability while workers are killed", f">= {targets.availability:.1%}"
    kills = figures.kills
    if kills is None:
        return Criterion(name, "not run", bound, None)
    found = f"{kills.availability:.2%} of {kills.n_checks:,}, {len(kills.killed_s)} kills"
    if not kills.killed_s:
        return Criterion(name, found, bound, passed=False)
    return Criterion(name, found, bound, kills.availability >= targets.availability)


def _scaling(figures: Figures, targets: Targets) -> Iterator[Criterion]:
    bound = f">= {targets.efficiency:.0%} of linear"
    if figures.scaling is None or len(figures.scaling.workers) < 2:
        yield Criterion("capacity by workers", "not run", bound, None)
        return
    alone, *several = zip(figures.scaling.workers, figures.scaling.costly_per_s, strict=True)
    for n, per_s in several:
        efficiency = per_s / alone[1] / (n / alone[0])
        kept = efficiency >= targets.efficiency if targets.timed else None
        yield Criterion(f"capacity of {n} workers", f"{efficiency:.0%}", bound, kept)
