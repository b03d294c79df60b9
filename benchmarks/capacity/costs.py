"""What a block of checks costs each process that it passes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds of processor time: so many for a block, and so many for each of its checks."""

    block_s: float
    check_s: float

    def of(self, n_checks: int) -> float:
        return self.block_s + n_checks * self.check_s

    @classmethod
    def through(cls, small: tuple[int, float], large: tuple[int, float]) -> Line:
        """Return the line through two measurements, each (checks of a block, seconds of it)."""
        (n, s), (more, longer_s) = small, large
        check_s = max(0.0, (longer_s - s) / (more - n))
        return cls(max(0.0, s - n * check_s), check_s)


@dataclass(frozen=True, slots=True)
class Costs:
    """One load on one machine. `idle_s`: the server's time for a worker that waits, a second."""

    client: Line
    server: Line
    worker: Line
    idle_s: float
    #: of a call of the server that finds it idle, besides its processor time
    round_trip_s: float
