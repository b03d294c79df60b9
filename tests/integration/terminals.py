"""Commands on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration.support import environment


@dataclass(frozen=True, slots=True)
class Shown:
    """The exit code of a program, its standard output, and the bytes on the terminal."""

    returncode: int
    stdout: str
    terminal: str


def on_terminal(
    arguments: Sequence[object],
    *,
    stdout_too: bool = False,
    meanwhile: Callable[[subprocess.Popen[str]], object] = lambda _: None,
    cwd: Path | None = None,
    timeout_s: float = 120,
    **settings: str,
) -> Shown:
    """Run `python ARGUMENTS` with standard error, and optionally standard output, on a terminal."""
    ours, theirs = pty.openpty()
    terminal = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65_536):
                terminal.extend(piece)
        except OSError:  # Linux raises it once the other end is closed
            return

    with subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**environment(**settings), "TERM": settings.get("TERM", "xterm"), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=theirs if stdout_too else subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
        text=True,
    ) as process:
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            meanwhile(process)
            stdout, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            reader.join()
            os.close(ours)
    return Shown(process.returncode, stdout or "", terminal.decode())
