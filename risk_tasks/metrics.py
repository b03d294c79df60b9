"""What a worker says of its work: one record for each message that it has ended."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


class Outcome(StrEnum):
    """What became of a message in a worker's hands."""

    #: its answer was the first, also where some of its checks are answered with errors
    ANSWERED = "answered"
    #: the worker could make no answer, and its caller was told so
    FAILED = "failed"
    #: another answer came first
    DUPLICATE = "duplicate"


class BlockRecord(NamedTuple):
    """One block, or one check of the JSON door; times in seconds.

    `queued_s` and `total_s` are by the server's clock, from when the block was accepted until it
    was started and until its answer stood there; None at the JSON door, which keeps no such time,
    and `total_s` of a duplicate. `fetch_s`, `compute_s` and `busy_s` are the worker's: fetching
    what is asked, answering it, and all that the message held its thread.
    """

    lane: str
    outcome: Outcome
    n_checks: int
    n_errors: int
    queued_s: float | None
    fetch_s: float
    compute_s: float
    busy_s: float
    total_s: float | None


class Recorder(Protocol):
    """Takes records from any thread, at once and without an error: a check waits for no metric."""

    def record(self, block: BlockRecord) -> None: ...


class NullRecorder:
    """Where nobody measures."""

    def record(self, block: BlockRecord) -> None:
        """Forget it."""
