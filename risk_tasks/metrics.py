"""The record of a finished message, and where a worker puts it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class BlockOutcome(StrEnum):
    """How a worker finished a message."""

    #: its answer was the first one; some of its checks may have errors
    ANSWERED = "answered"
    #: the worker could not compute an answer, and returned an error
    FAILED = "failed"
    #: another answer came first
    DUPLICATE = "duplicate"


class BlockRecord(NamedTuple):
    """One block, or one JSON check; times in seconds.

    `queued_s` and `total_s` are by the server's clock: from accepting the block until it was
    started, and until its answer was stored. A JSON check has neither of them, and a duplicate has
    no `total_s`. `fetch_s`, `compute_s` and `busy_s` are by the worker's clock: fetching the
    payload, computing the answer, and the whole time that the message occupied its thread.
    """

    lane: str
    outcome: BlockOutcome
    n_checks: int
    n_errors: int
    queued_s: float | None
    fetch_s: float
    compute_s: float
    busy_s: float
    total_s: float | None


#: takes records from any thread, at once and without errors: no check waits for a metric
Record: TypeAlias = Callable[[BlockRecord], object]
