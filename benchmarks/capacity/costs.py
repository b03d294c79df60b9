"""The cost of a block of checks in each process that it passes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """Processor seconds: a constant per block, and a constant per check."""

    block_s: float
    check_s: float

    def of(self, n_checks: int) -> float:
        return self.block_s + n_checks * self.check_s

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float]) -> Line:
        """Return the line through two measurements, each (checks of a block, seconds)."""
        (n, s), (more, longer_s) = small, large
        check_s = max(0.0, (longer_s - s) / (more - n))
        return cls(max(0.0, s - n * check_s), check_s)


@dataclass(frozen=True, slots=True)
class Costs:
    """One load on one machine. `idle_s`: server time per second that one waiting worker costs."""

    client: Line
    server: Line
    worker: Line
    idle_s: float
    #: added latency of a call that finds the server idle
    round_trip_s: float
