"""The largest trade in a position by trial and error, without formulas.

`breaks(q)` says whether the portfolio with q more of the position breaks its limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

N_HALVINGS = 60


def first_break(breaks: Callable[[float], bool], grid: Iterable[float]) -> float | None:
    """Return about the first trade of an ascending grid that breaks the limit.

    None if no point breaks it. A break between two points is not found: the largest allowed trade
    is never larger than this, and may be smaller.
    """
    within = 0.0
    for q in grid:
        if breaks(q):
            return _halved(breaks, within, q)
        within = q
    return None


def _halved(breaks: Callable[[float], bool], within: float, beyond: float) -> float:
    for _ in range(N_HALVINGS):
        middle = (within + beyond) / 2
        if breaks(middle):
            beyond = middle
        else:
            within = middle
    return beyond
