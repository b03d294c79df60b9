"""How far a position may be traded, by looking: no formula, no slope, no crossing.

`breaks(q)` says whether the book with q more of the position breaks what it is held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

N_HALVINGS = 60


def first_break(breaks: Callable[[float], bool], grid: Iterable[float]) -> float | None:
    """Return a trade that breaks, as near as can be told to the first one of an ascending grid.

    None where none of the grid does. What breaks between two of the grid and not at them is missed:
    the largest trade that is allowed is never larger than this, and may be smaller.
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
