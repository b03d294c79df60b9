"""A file whose age shows whether a process still works."""

from __future__ import annotations

import time
from pathlib import Path

from risk_tasks.log import log


class Heartbeat:
    """A file that is touched at most once in `every_s`, for a probe that checks its age.

    Without a path it does nothing. Call `beat` where work is fetched: another thread would still
    run after fetching has stopped.
    """

    def __init__(self, path: Path | str | None, *, every_s: float = 1.0) -> None:
        self._path = None if path is None else Path(path)
        self._every_s = every_s
        self._due_at = 0.0

    def beat(self) -> None:
        """Touch the file if it is due; a file that cannot be written is logged."""
        now = time.monotonic()
        if self._path is None or now < self._due_at:
            return
        self._due_at = now + self._every_s
        try:
            self._path.touch()
        except OSError as error:
            log.warning("heartbeat.not_written", path=str(self._path), error=str(error))
