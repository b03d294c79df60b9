"""The loads that are calibrated, simulated and measured: each call is one block."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.load.scaling import COSTLY


@dataclass(frozen=True, slots=True)
class CapacityLoad:
    """Calls of `n_checks` portfolios each; `n_few` is the smaller call of the calibration."""

    name: str
    measures: tuple[str, ...] | None
    n_checks: int
    n_few: int


LOADS = (
    CapacityLoad("standard set", None, 400, 20),
    CapacityLoad("costly measures", COSTLY, 120, 10),
)
