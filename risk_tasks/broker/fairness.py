"""The order in which a worker looks at its lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kombu.utils.scheduling import priority_cycle

#: one fetch in so many begins with the last lane, so that it moves however full the others are
RESERVED_SHARE = 20

#: by lane, most urgent first: the lists that are a worker's own, and those that it helps with
Order = Sequence[tuple[Sequence[str], Sequence[str]]]


class LaneCycle(priority_cycle):
    """Strictly in the order of the lanes, but for a small share reserved to the last one.

    Of a lane's lists a worker's own come first, each fetch beginning with another of them. Where an
    order is followed, a list that joins does so in the place of its lane, and not behind the last.
    """

    def __init__(self, it: list[str] | None = None) -> None:
        super().__init__(it)
        self._n_fetches = 0
        self._order: Callable[[], Order] | None = None

    def follow(self, order: Callable[[], Order]) -> None:
        """Ask `order` at each fetch which lists to look at; others are left alone."""
        self._order = order

    def consume(self, n: int) -> list[str]:
        """Return the queues in the order in which this fetch looks at them."""
        self._n_fetches += 1
        active: list[str] = super().consume(n)
        lanes = [[queue] for queue in active]
        if self._order is not None:
            lanes = [[*self._turned(own), *helped] for own, helped in self._order()]
        if self._n_fetches % RESERVED_SHARE == 0:
            lanes = [*lanes[-1:], *lanes[:-1]]
        known = set(active)
        return [queue for lane in lanes for queue in lane if queue in known]

    def _turned(self, own: Sequence[str]) -> Sequence[str]:
        first = self._n_fetches % len(own)
        return [*own[first:], *own[:first]]
