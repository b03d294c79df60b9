"""Periodic tasks of the scheduler, from a TOML file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from risk_tasks.errors import InputFileError
from risk_tasks.queues import LANE_OF_KIND, PREWARM_TASK, SWEEP_TASK
from risk_tasks.readers.files import path_of, read_text
from risk_tasks.store.prewarm import PrewarmPolicy


class SweepPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The interval of the sweep, which removes abandoned blocks and replies."""

    every_s: float = 10.0


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The periodic tasks; `prewarm.n_requests` of 0 disables prewarming."""

    sweep: SweepPlan = SweepPlan()
    prewarm: PrewarmPolicy = PrewarmPolicy()

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return a beat schedule of Celery."""
        entries = {SWEEP_TASK: _entry(SWEEP_TASK, self.sweep.every_s, {})}
        if self.prewarm.n_requests:
            policy = msgspec.structs.asdict(self.prewarm)
            entries[PREWARM_TASK] = _entry(PREWARM_TASK, self.prewarm.every_s, policy)
        return entries


def read_schedule(path: str | os.PathLike[str]) -> Schedule:
    """Return the schedule of a TOML file; raises `InputFileError` naming file and key."""
    file: Path = path_of(path)
    try:
        schedule = msgspec.toml.decode(read_text(file), type=Schedule)
    except msgspec.MsgspecError as failure:
        message, _, place = str(failure).partition(" - at `$.")
        raise InputFileError(
            f"{message}.", field=", ".join(filter(None, (file.name, place.rstrip("`"))))
        ) from failure
    for name, seconds in (("sweep", schedule.sweep.every_s), ("prewarm", schedule.prewarm.every_s)):
        if not 0 < seconds <= 86_400:
            raise InputFileError(
                f"every_s is {seconds!r}: expected more than 0, at most 86400.",
                field=f"{file.name}, {name}.every_s",
                remedy="Give a number of seconds.",
            )
    return schedule


def _entry(task: str, every_s: float, kwargs: dict[str, Any]) -> dict[str, Any]:
    options = {"queue": LANE_OF_KIND[task].queue, "expires": every_s}
    return {"task": task, "schedule": every_s, "kwargs": kwargs, "options": options}
