"""A file whose age says whether work is still fetched."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

log = structlog.get_logger("risk_tasks")


class Heartbeat:
    """A file that is touched once a second at the most, for a probe that looks at its age.

    Without a path it does nothing. Whoever beats is the proof: beat where work is fetched, and not
    in a thread that goes on when nothing is.
    """

    def __init__(self, path: Path | str | None, *, every_s: float = 1.0) -> None:
        self._path = None if path is None else Path(path)
        self._every_s = every_s
        self._due_at = 0.0

    def beat(self) -> None:
        now = time.monotonic()
        if self._path is None or now < self._due_at:
            return
        self._due_at = now + self._every_s
        try:
            self._path.touch()
        except OSError as error:
            log.warning("heartbeat.not_written", path=str(self._path), error=str(error))
