"""Figures that meet every target, and functions that make one of them worse."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.load.figures import (
    Figures,
    Kills,
    LaneSample,
    Level,
    Measurement,
    NormalLoad,
    PercentilePair,
    Repeats,
    Scaling,
    Times,
)
from benchmarks.load.judging import LEVEL_MS


def measurement(ms, n_failed=0):
    """Return the figures of a client whose calls all take `ms`."""
    return Measurement(Times(ms, ms, ms, ms, 20), 1_000.0, n_failed)


def level(n, blocks_ms=None, **more):
    """Return a level at its target, or at 90 ms where the target is 120."""
    blocks = measurement(min(LEVEL_MS[n], 90.0) if n == 20_000 else LEVEL_MS[n])
    made = Level(n, blocks, measurement(400.0), measurement(500.0))
    if blocks_ms is not None:
        made = replace(made, blocks=measurement(blocks_ms))
    return replace(made, **more)


BY_STATUS = PercentilePair(95, 70.0, 55.0)
GOOD = Figures(
    levels=tuple(level(n) for n in LEVEL_MS),
    normal=NormalLoad(
        100_000.0, (LaneSample(0.1, 500, 0.2), LaneSample(0.2, 0, 0.0)), 0, (BY_STATUS,)
    ),
    repeats=Repeats(500, 9, 900.0, 10.0, 0.9),
    kills=Kills((1.0, 8.0), ((0.0, 0.01), (0.2, 2.9)), 10_000, 10),
    scaling=Scaling((1, 2), (100.0, 120.0), (100.0, 160.0)),
)


def with_level(n, **more):
    """Return `GOOD` with one level replaced."""
    return replace(
        GOOD,
        levels=tuple(level(n, **more) if each.outstanding == n else each for each in GOOD.levels),
    )
