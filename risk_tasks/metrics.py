"""The record of a finished message, and where a worker puts it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


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


class Recorder(Protocol):
    """Takes records from any thread, at once and without errors: no check waits for a metric."""

    def record(self, block: BlockRecord) -> None: ...


class NullRecorder:
    """Ignores records, where metrics are off."""

    def record(self, block: BlockRecord) -> None:
        """Ignore `block`."""
