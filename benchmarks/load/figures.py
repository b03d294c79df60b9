"""The measurements, as plain values; the report and the verdict depend only on them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from risk_tasks.histograms import Durations


@dataclass(frozen=True, slots=True)
class Times:
    """Response times in ms: medians over rounds.

    `worst_ms` is the longest of all rounds, which a median hides.
    """

    mean_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float
    n_rounds: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One way to call at a level: times, checks per second, and checks without a good answer."""

    times: Times
    per_s: float
    n_failed: int


@dataclass(frozen=True, slots=True)
class Level:
    """`outstanding` checks at once: as blocks, as single checks, and sequentially."""

    outstanding: int
    blocks: Measurement
    singles: Measurement
    sequential: Measurement


@dataclass(frozen=True, slots=True)
class LaneSample:
    """A sample of the lane: seconds since the load began, its checks, the age of the oldest."""

    at_s: float
    depth: int
    oldest_age_s: float


@dataclass(frozen=True, slots=True)
class PercentilePair:
    """A percentile as the users measure it and as `status` reports it, in ms."""

    percent: float
    own_ms: float
    status_ms: float


@dataclass(frozen=True, slots=True)
class NormalLoad:
    """A steady load of half the capacity: samples of the lane, and its depth at the end.

    `percentiles` is empty if the load was too short for `status` to report it separately.
    """

    per_s: float
    samples: tuple[LaneSample, ...]
    depth_after: int
    percentiles: tuple[PercentilePair, ...] = ()

    @property
    def oldest_age_s(self) -> float:
        return max((sample.oldest_age_s for sample in self.samples), default=0.0)


@dataclass(frozen=True, slots=True)
class Repeats:
    """A costly measure that is requested repeatedly; `hit_ratio` is None without counters."""

    n_portfolios: int
    n_repeats: int
    first_ms: float
    again_ms: float
    hit_ratio: float | None


@dataclass(frozen=True, slots=True)
class Kills:
    """Workers killed under load: times of the kills; due time and duration of each call, in s."""

    killed_s: tuple[float, ...]
    calls_s: tuple[tuple[float, float], ...]
    n_checks: int
    n_failed: int

    @property
    def availability(self) -> float:
        return 1.0 - self.n_failed / self.n_checks


@dataclass(frozen=True, slots=True)
class Scaling:
    """Checks per second by number of workers, for the standard set and for costly measures."""

    workers: tuple[int, ...]
    standard_per_s: tuple[float, ...]
    costly_per_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """All measurements; None for a stage that did not run."""

    levels: tuple[Level, ...]
    normal: NormalLoad | None = None
    repeats: Repeats | None = None
    kills: Kills | None = None
    scaling: Scaling | None = None


def times_of(rounds: Sequence[Durations]) -> Times:
    """Return the medians over `rounds`, each of which has values."""

    def median_ms(of_each: list[float | None]) -> float:
        return statistics.median(each * 1e3 for each in of_each if each is not None)

    return Times(
        mean_ms=median_ms([one.mean_s for one in rounds]),
        p95_ms=median_ms([one.percentile_s(95) for one in rounds]),
        p99_ms=median_ms([one.percentile_s(99) for one in rounds]),
        worst_ms=max((one.percentile_s(100) or 0.0) * 1e3 for one in rounds),
        n_rounds=len(rounds),
    )
