"""Processor time of other processes, as the kernel's scheduler counts it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def spent_s(pid: int) -> float:
    """Return the seconds that the live threads of `pid` have run, to the nanosecond."""
    spent_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended since
            spent_ns += int((task / "schedstat").read_text().split()[0])
    return spent_ns / 1e9
