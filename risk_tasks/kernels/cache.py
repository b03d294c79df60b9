"""The folder of compiled kernels, and the list of what it contains.

Each version of the sources, of Numba, of Python and of the processor has a folder of its own, so
that code of another version is never used. The processes of one machine share the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numba
from numba.core import config
from numba.core.registry import cpu_target

# Numba sets these attributes from the environment: mypy does not know them.
_CONFIG: Any = config
_SOURCES = Path(__file__).parent


def open_folder() -> Path | None:
    """Return the first folder that can be written to; None if there is none.

    The order is NUMBA_CACHE_DIR, the folder of the sources, the user's cache folder, and a private
    temporary folder.
    """
    for choose in (_named, _beside_sources, _of_user, _temporary):
        try:
            folder = choose() / _version()
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except (OSError, RuntimeError):
            continue
        return folder
    return None


def _named() -> Path:
    folder = str(_CONFIG.CACHE_DIR)
    if not folder:
        raise FileNotFoundError
    return Path(folder)


def _beside_sources() -> Path:
    return _SOURCES / "__pycache__"


def _of_user() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "risk-tasks"


def _temporary() -> Path:
    """Return a folder that no other user can write to: its content is executed."""
    folder = Path(tempfile.gettempdir()) / f"risk-tasks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(folder)
    return folder


def _version() -> str:
    digest = hashlib.sha256()
    target = cpu_target.target_context.codegen().magic_tuple()
    digest.update(repr((numba.__version__, sys.implementation.cache_tag, target)).encode())
    for path in sorted(_SOURCES.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return f"kernels-{digest.hexdigest()[:16]}"


FOLDER = open_folder()


@contextmanager
def cached_in(folder: Path | None) -> Iterator[None]:
    """Let Numba cache in `folder` the functions that are decorated in this context."""
    before, _CONFIG.CACHE_DIR = _CONFIG.CACHE_DIR, "" if folder is None else str(folder)
    try:
        yield
    finally:
        _CONFIG.CACHE_DIR = before


class Cache:
    """The lists of compiled and of requested kernels in a folder, and the lock for compiling.

    Both lists are empty if the folder was removed.
    """

    def __init__(self, folder: Path) -> None:
        self._compiled, self._requested = folder / "compiled", folder / "requested"
        self._lock = folder / "lock"

    def compiled(self) -> set[str]:
        """Return the keys of the compiled kernels."""
        return set(_lines(self._compiled))

    def record(self, key: str) -> None:
        """Record that `key` is compiled."""
        _append(self._compiled, key)

    def requested(self) -> list[str]:
        """Return the keys that checks wait for, the earliest first."""
        return _lines(self._requested)

    def request(self, key: str) -> None:
        """Request that the compiling process compiles `key` before the others."""
        _append(self._requested, key)

    def lock(self) -> IO[str]:
        """Wait for the lock for compiling; closing all copies of the file releases it."""
        held = self._lock.open("a")
        fcntl.flock(held, fcntl.LOCK_EX)
        return held

    def try_lock(self) -> IO[str] | None:
        """Return the lock, or None while another process holds it."""
        held = self._lock.open("a")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            return None
        return held


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")
