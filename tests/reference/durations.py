"""Percentiles by definition, from all single durations."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(times: Sequence[tuple[float, int]], percent: float) -> float:
    """The smallest duration that at least `percent` of all durations do not exceed.

    Nearest rank: the value at place ceil(percent / 100 n) of the sorted values, from 1.
    """
    values = sorted(seconds for seconds, n in times for _ in range(n))
    rank = max(math.ceil(percent / 100 * len(values)), 1)
    return values[rank - 1]


def mean(times: Sequence[tuple[float, int]]) -> float:
    return math.fsum(seconds * n for seconds, n in times) / sum(n for _, n in times)
