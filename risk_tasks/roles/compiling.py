"""Compiling kernels once on a machine, however many workers start at the same time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba
import structlog

from risk_tasks import kernels
from risk_tasks.engine.warmup import compile_kernels
from risk_tasks.service.fingerprint import ENGINE_VERSION

log = structlog.get_logger("risk_tasks")


def compile_once() -> int:
    """Compile or load every kernel; returns how many were compiled.

    Where the cache is cold, workers that start together go one after the other: the first compiles
    for a minute, the others load what it has left. Once it is warm nobody waits.
    """
    note = _note()
    if note is None or _is_warm(note):
        return compile_kernels()
    with _alone(note):
        compiled = compile_kernels()
    try:
        note.write_text(_version())
    except OSError as error:
        log.debug("worker.cache_not_noted", error=str(error))
    return compiled


def _note() -> Path | None:
    """Return the file that says which kernels the cache holds, None where there can be none."""
    # Read when it is asked: the environment sets it, and numba's own types do not know it.
    set_to: str = getattr(numba.config, "CACHE_DIR", "")
    folder = Path(set_to) if set_to else Path(kernels.__file__).parent / "__pycache__"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "risk-tasks-kernels"
        note.touch()
    except OSError:
        return None
    return note


def _version() -> str:
    sources = sorted(Path(kernels.__file__).parent.glob("*.py"))
    changed = [f"{path.name} {path.stat().st_mtime_ns}" for path in sources]
    return "\n".join([ENGINE_VERSION, numba.__version__, *changed])


def _is_warm(note: Path) -> bool:
    try:
        return note.read_text() == _version()
    except OSError:
        return False


@contextmanager
def _alone(note: Path) -> Iterator[None]:
    try:
        held = note.open()
    except OSError:
        yield
        return
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
