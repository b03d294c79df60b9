"""The order in which a worker looks at its lanes."""

from __future__ import annotations

from kombu.utils.scheduling import priority_cycle

#: one fetch in so many begins with the last lane, so that it moves however full the others are
RESERVED_SHARE = 20


class LaneCycle(priority_cycle):
    """Strictly in the order of the lanes, but for a small share reserved to the last one."""

    def __init__(self, it: list[str] | None = None) -> None:
        super().__init__(it)
        self._n_fetches = 0

    def consume(self, n: int) -> list[str]:
        """Return the queues in the order in which this fetch looks at them."""
        self._n_fetches += 1
        lanes: list[str] = super().consume(n)
        if self._n_fetches % RESERVED_SHARE == 0:
            return [*lanes[-1:], *lanes[:-1]]
        return lanes
