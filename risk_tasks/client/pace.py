"""How large a block may be, by what such blocks have cost lately."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Sequence
from functools import lru_cache
from math import ceil

import numpy as np

from risk_tasks.client.cutting import LARGEST, BlockBounds
from risk_tasks.model.measures import MeasureName
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.request import Detail, RequestBlock, Terms

#: a block holds a worker for no longer than about this: a shorter one is not worth its message
BLOCK_US = 30_000
#: in a smaller block the time goes to what is done once, not to its positions
_TELLING = 1_000
_MAX_REMEMBERED = 256
#: of the check whose cost stands in the registry: 20 positions
_REGISTRY_WEIGHT = 21
#: what telling the room of one position costs, where nothing is known yet
_ROOM_US = 60.0


class Pace:
    """Learns from the times in the answers; begins with the costs in the registry of measures.

    Safe to share between threads: a lost update costs a few milliseconds.
    """

    def __init__(self) -> None:
        self._us_per_position: dict[Hashable, float] = {}

    def bounds(self, request: RequestBlock) -> BlockBounds:
        """Return bounds that cut `request` into blocks of equal cost, up to `BLOCK_US` each."""
        n_positions = int(request.offsets[-1])
        cost_us = _weight(request) * self._expect(request.terms)
        n_blocks = ceil(cost_us / BLOCK_US)
        if n_blocks <= 1:
            return LARGEST
        largest = int(np.diff(request.offsets).max())
        return BlockBounds(
            min(LARGEST.max_checks, ceil(len(request) / n_blocks) + 1),
            min(LARGEST.max_positions, ceil(n_positions / n_blocks) + largest),
        )

    def learn(self, request: RequestBlock, answers: Sequence[AnswerBlock]) -> None:
        """Take note of what the blocks of `request` cost, where they are large enough to tell."""
        spent_us = [answer.head.timings.get("compute_ms", 0.0) * 1e3 for answer in answers]
        n = _weight(request) / max(1, len(answers))
        if len(self._us_per_position) > _MAX_REMEMBERED:
            self._us_per_position.clear()
        if not answers or n <= 0:
            return
        kind, us = _kind(request.terms), statistics.median(spent_us) / n
        # A smaller block tells too much, never too little: were it not heard, a cost that was far
        # too high would make blocks too small to tell otherwise, for ever.
        if n >= _TELLING or us < self._us_per_position.get(kind, 0.0):
            self._us_per_position[kind] = us

    def _expect(self, terms: Terms) -> float:
        expected, is_looked_up = _registered(terms.measures, terms.settings.n_paths)
        if terms.detail is Detail.EXPLAINED:
            expected += _ROOM_US
        known = self._us_per_position.get(_kind(terms), expected)
        # What was looked up last time may have to be computed the next.
        return max(known, expected) if is_looked_up else known


@lru_cache(maxsize=256)
def _registered(measures: tuple[MeasureName, ...], n_paths: int) -> tuple[float, bool]:
    """Return what a position costs in us by the registry, and whether anything is looked up."""
    # Measures of the past share their pass over it: the dearest stands for all.
    dearest = max((one.definition.cost_of(n_paths) for one in measures), default=0.0)
    is_looked_up = any(one.definition.is_looked_up(n_paths) for one in measures)
    return dearest / _REGISTRY_WEIGHT, is_looked_up


def _weight(request: RequestBlock) -> int:
    """A portfolio without positions is work too."""
    return int(request.offsets[-1]) + len(request)


def _kind(terms: Terms) -> Hashable:
    return terms.measures, terms.detail, terms.settings.n_paths
